package brig.testing;

import brig.testing.client.ContainerdClient;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;

/**
 * A private containerd: own root, state, sockets and configuration, with the installation under
 * test on its {@code PATH} and the test images imported. It can be stopped and started again over
 * the same state.
 *
 * <p>Closing it removes every container that is left, ends containerd and the shims that still name
 * its socket, and unmounts what lies beneath its directory.
 */
public final class Containerd implements AutoCloseable {

  private static final String STATE = "state";

  private static final String BOOTED = "containerd successfully booted";

  /** Where the tests' containers live. */
  public static final String NAMESPACE = "it";

  /** Where CRI keeps its containers. */
  public static final String CRI_NAMESPACE = "k8s.io";

  private final Settings settings;
  private final ContainerdVersion version;
  private final Path directory;
  private final Path state;
  private final Map<String, String> extraEnvironment;
  private final Optional<BrigDaemon> brig;
  private final PodNetwork network;
  private final Set<String> loaded = new HashSet<>();
  private Process process;

  private Containerd(
      Settings settings,
      ContainerdVersion version,
      Path directory,
      Path state,
      Map<String, String> extraEnvironment,
      Optional<BrigDaemon> brig,
      PodNetwork network) {
    this.settings = settings;
    this.version = version;
    this.directory = directory;
    this.state = state;
    this.extraEnvironment = Map.copyOf(extraEnvironment);
    this.brig = brig;
    this.network = network;
    this.process = launch();
  }

  /**
   * Starts one and imports the images; where Brig is under test, with a daemon of Brig's own to it.
   */
  public static Containerd start(Settings settings, ContainerdVersion version) {
    return start(settings, version, "");
  }

  /** The same, with more lines in the configuration of Brig's daemon. */
  public static Containerd start(Settings settings, ContainerdVersion version, String brigToml) {
    return start(
        settings, version, place -> BrigDaemon.configure(settings.prefix(), place, brigToml));
  }

  /** The same with a daemon of Brig's that is configured for a directory. */
  public static Containerd start(
      Settings settings, ContainerdVersion version, Function<Path, BrigDaemon> daemon) {
    Path directory = newDirectory();
    if (!settings.isBrig()) {
      return start(
          settings, version, directory, directory.resolve(STATE), Map.of(), Optional.empty());
    }
    BrigDaemon brig = daemon.apply(directory.resolve("brig"));
    return start(
        settings,
        version,
        directory,
        directory.resolve(STATE),
        brig.environment(),
        Optional.of(brig));
  }

  /**
   * The same, with a directory of programs that are found before all others, and variables for
   * them.
   */
  public static Containerd start(
      Settings settings,
      ContainerdVersion version,
      String brigToml,
      Path programs,
      Map<String, String> environment) {
    Path directory = newDirectory();
    BrigDaemon brig = BrigDaemon.configure(settings.prefix(), directory.resolve("brig"), brigToml);
    Map<String, String> all = new HashMap<>(environment);
    all.putAll(brig.environment());
    all.put("PATH", programs + ":" + path(settings, version));
    return start(settings, version, directory, directory.resolve(STATE), all, Optional.of(brig));
  }

  /**
   * One with these variables in its environment, which shims inherit.
   *
   * @param state directory for what users have in /run: in memory, where that matters
   */
  public static Containerd start(
      Settings settings, ContainerdVersion version, Path state, Map<String, String> environment) {
    return start(settings, version, newDirectory(), state, environment, Optional.empty());
  }

  private static Containerd start(
      Settings settings,
      ContainerdVersion version,
      Path directory,
      Path state,
      Map<String, String> environment,
      Optional<BrigDaemon> brig) {
    try {
      PodNetwork network = PodNetwork.configure(directory);
      Files.writeString(
          directory.resolve("config.toml"),
          ContainerdConfig.render(
              version, directory, state, Images.PAUSE, ContainerdConfig.handlers(settings)));
      Containerd containerd =
          new Containerd(settings, version, directory, state, environment, brig, network);
      containerd.importImages();
      return containerd;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static Path newDirectory() {
    try {
      // A short name: sockets lie beneath it, and the directory for temporary files may be a long
      // one.
      Path place = Path.of(System.getProperty("java.io.tmpdir")).toRealPath();
      String name = Integer.toHexString(ThreadLocalRandom.current().nextInt());
      return Files.createDirectory(
          place.resolve("it-" + name),
          PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void importImages() {
    for (String namespace : List.of(NAMESPACE, CRI_NAMESPACE)) {
      for (String image : List.of("busybox", "pause")) {
        load(namespace, image);
      }
    }
  }

  /** Imports an image into one of the namespaces, once. */
  public synchronized void load(String namespace, String image) {
    if (loaded.add(namespace + "/" + image)) {
      ctr(namespace).command("images", "import", settings.image(image).toString()).run().orFail();
    }
  }

  public Settings settings() {
    return settings;
  }

  public ContainerdVersion version() {
    return version;
  }

  public Path directory() {
    return directory;
  }

  public Path address() {
    return directory.resolve("containerd.sock");
  }

  public Path state() {
    return state;
  }

  /** The bundle directory of a task. */
  public Path bundle(String namespace, String id) {
    return state().resolve("io.containerd.runtime.v2.task").resolve(namespace).resolve(id);
  }

  public long pid() {
    return process.pid();
  }

  public Ctr ctr() {
    return ctr(NAMESPACE);
  }

  public Ctr ctr(String namespace) {
    return new Ctr(this, namespace);
  }

  /** A connection of its own, to be closed by the caller. */
  public ContainerdClient client() {
    return client(NAMESPACE);
  }

  public ContainerdClient client(String namespace) {
    return new ContainerdClient(this, namespace);
  }

  /** Brig's daemon for this containerd. */
  public BrigDaemon brig() {
    return brig.orElseThrow(() -> new IllegalStateException("Brig isn't under test"));
  }

  /** The network that CRI's pods are in. */
  public PodNetwork network() {
    return network;
  }

  /** Programs of this version. */
  public Path program(String name) {
    return settings.containerdPrograms(version).resolve(name);
  }

  /** The environment that containerd, and so every shim, runs in. */
  public Map<String, String> environment() {
    Map<String, String> environment = new HashMap<>();
    environment.put("PATH", path(settings, version));
    environment.putAll(extraEnvironment);
    return environment;
  }

  private static String path(Settings settings, ContainerdVersion version) {
    return settings.prefix().resolve("bin")
        + ":"
        + settings.containerdPrograms(version)
        + ":"
        + System.getenv().getOrDefault("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
  }

  /** Everything that containerd has logged so far. */
  public String log() {
    try {
      return Files.readString(directory.resolve("log"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Ends the daemon as an upgrade does: its containers stay. */
  public void stop() {
    process.destroy();
    awaitEnd();
  }

  /** The same without a chance to say goodbye. */
  public void kill() {
    process.destroyForcibly();
    awaitEnd();
  }

  /** Starts the daemon again over its state. */
  public void startAgain() {
    if (process.isAlive()) {
      throw new IllegalStateException("still running");
    }
    process = launch();
  }

  @Override
  public void close() {
    if (!process.isAlive()) {
      startAgain();
    }
    for (String namespace : List.of(NAMESPACE, CRI_NAMESPACE)) {
      removeContainers(namespace);
    }
    stop();
    Processes.endAllNaming(address().toString());
    brig.ifPresent(BrigDaemon::stop);
    network.close();
    for (Path own : List.of(state, directory)) {
      Mounts.unmountBeneath(own);
      deleteTree(own);
    }
  }

  private void removeContainers(String namespace) {
    Ctr ctr = ctr(namespace);
    for (String id : ctr.command("containers", "ls", "-q").run().stdout().lines().toList()) {
      ctr.command("tasks", "kill", "-s", "KILL", id).run();
      ctr.command("tasks", "delete", "--force", id).run();
      ctr.command("containers", "delete", id).run();
    }
  }

  private Process launch() {
    ProcessBuilder builder =
        new ProcessBuilder(
            settings.containerdPrograms(version).resolve("containerd").toString(),
            "--config",
            directory.resolve("config.toml").toString());
    builder.environment().putAll(environment());
    builder.redirectErrorStream(true);
    builder.redirectInput(ProcessBuilder.Redirect.from(Path.of("/dev/null").toFile()));
    try {
      Process started = builder.start();
      CompletableFuture<Void> booted = new CompletableFuture<>();
      Thread.ofPlatform().daemon().name("containerd-log").start(() -> copyLog(started, booted));
      booted.get(Command.LIMIT.toSeconds(), TimeUnit.SECONDS);
      return started;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException("containerd " + version + " did not start: " + log(), e);
    }
  }

  private void copyLog(Process from, CompletableFuture<Void> booted) {
    try (BufferedReader lines =
            new BufferedReader(
                new java.io.InputStreamReader(from.getInputStream(), StandardCharsets.UTF_8));
        BufferedWriter file =
            Files.newBufferedWriter(
                directory.resolve("log"), StandardOpenOption.CREATE, StandardOpenOption.APPEND)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        file.write(line);
        file.newLine();
        file.flush();
        if (line.contains(BOOTED)) {
          booted.complete(null);
        }
      }
      booted.completeExceptionally(new IllegalStateException("ended before it was ready"));
    } catch (IOException e) {
      booted.completeExceptionally(e);
    }
  }

  private void awaitEnd() {
    try {
      if (!process.waitFor(30, TimeUnit.SECONDS)) {
        process.destroyForcibly();
        process.waitFor();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  private static void deleteTree(Path directory) {
    // Not by hand: a mount that is still there must not be emptied.
    Command.of("rm", "-rf", "--one-file-system", directory.toString()).run();
  }
}
