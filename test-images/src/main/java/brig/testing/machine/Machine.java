package brig.testing.machine;

import brig.testing.Command;
import brig.testing.Names;
import brig.testing.Settings;
import brig.testing.client.ContainerdClient;
import io.grpc.netty.NettyChannelBuilder;
import java.io.BufferedReader;
import java.io.DataInputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * The running machine. A script sent to it is run by a shell of its own as root; its output and
 * exit status come back. One at a time.
 */
public final class Machine implements AutoCloseable {

  /** containerd's namespace that has the images. */
  public static final String NAMESPACE = "it";

  /** For one script; under the translator a container's life takes some seconds. */
  private static final Duration LIMIT = Duration.ofSeconds(120);

  /** For the boot, a second try included. */
  private static final Duration BOOT = Duration.ofMinutes(10);

  private final Path place;
  private final Process boot;
  private final int port;
  private final OutputStream toMachine;
  private final DataInputStream fromMachine;
  private int requests;

  private Machine(
      Path place, Process boot, int port, OutputStream toMachine, DataInputStream fromMachine) {
    this.place = place;
    this.boot = boot;
    this.port = port;
    this.toMachine = toMachine;
    this.fromMachine = fromMachine;
  }

  /** Boots it, with the installation and the images under test. */
  public static Machine boot(Settings settings) {
    Path scripts = settings.home().resolve("test-images/machine");
    try {
      Path place = Files.createTempDirectory("brig-machine-");
      int port = freePort();
      ProcessBuilder builder =
          new ProcessBuilder(
              scripts.resolve("boot").toString(),
              settings.prefix().toString(),
              settings.home().resolve("build/images").toString(),
              place.toString(),
              "--apparmor",
              "--forward",
              Integer.toString(port));
      builder.redirectError(place.resolve("boot.log").toFile());
      Process boot = builder.start();
      awaitReady(boot, place);
      return new Machine(
          place,
          boot,
          port,
          new FileOutputStream(place.resolve("commands.in").toFile()),
          new DataInputStream(new FileInputStream(place.resolve("commands.out").toFile())));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int freePort() throws IOException {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      return socket.getLocalPort();
    }
  }

  /** A client, on the host, of the machine's containerd; to be closed by the caller. */
  public ContainerdClient client() {
    return ContainerdClient.remote(
        () ->
            NettyChannelBuilder.forAddress("127.0.0.1", port)
                .usePlaintext()
                .maxInboundMessageSize(64 << 20)
                .build(),
        NAMESPACE,
        Settings.BRIG);
  }

  private static void awaitReady(Process boot, Path place) throws IOException {
    BufferedReader said =
        new BufferedReader(new InputStreamReader(boot.getInputStream(), StandardCharsets.UTF_8));
    CompletableFuture<Boolean> ready =
        CompletableFuture.supplyAsync(
            () -> said.lines().anyMatch(line -> line.startsWith("ready")));
    if (!within(ready, BOOT).orElse(false)) {
      boot.destroy();
      throw new IllegalStateException(
          "the machine did not come up: " + Files.readString(place.resolve("boot.log")));
    }
  }

  /** Runs lines of bash. */
  public Command.Result run(String script) {
    return run(script, LIMIT);
  }

  public synchronized Command.Result run(String script, Duration limit) {
    requests++;
    int id = requests;
    byte[] bytes = script.getBytes(StandardCharsets.UTF_8);
    String head = id + " " + limit.toSeconds() + " " + bytes.length + "\n";
    try {
      toMachine.write(head.getBytes(StandardCharsets.UTF_8));
      toMachine.write(bytes);
      toMachine.flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    CompletableFuture<Command.Result> answer =
        CompletableFuture.supplyAsync(() -> answer(id, script));
    return within(answer, limit.plusSeconds(60))
        .orElseThrow(() -> {
          boot.destroy();
          return new AssertionError("the machine gave no answer to " + script + "\n" + console());
        });
  }

  private Command.Result answer(int id, String script) {
    try {
      List<String> head = List.of(line().split(" ", -1));
      if (head.size() != 4 || !head.getFirst().equals(Integer.toString(id))) {
        throw new IllegalStateException("not an answer to request " + id + ": " + head);
      }
      byte[] stdout = fromMachine.readNBytes(Integer.parseInt(head.get(2)));
      byte[] stderr = fromMachine.readNBytes(Integer.parseInt(head.get(3)));
      return new Command.Result(
          List.of(script),
          Integer.parseInt(head.get(1)),
          stdout,
          new String(stderr, StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String line() throws IOException {
    StringBuilder line = new StringBuilder();
    for (byte next = fromMachine.readByte(); next != '\n'; next = fromMachine.readByte()) {
      line.append((char) next);
    }
    return line.toString();
  }

  /** What the script prints, without the last line's end; it must succeed. */
  public String read(String script) {
    return run(script).orFail().stdout().stripTrailing();
  }

  /** A name for a container that no other has. */
  public String freshId() {
    return Names.fresh("c");
  }

  private String console() {
    try {
      return Files.readString(place.resolve("boot.log"))
          + Files.readString(place.resolve("console.log"));
    } catch (IOException e) {
      return "(no console: " + e.getMessage() + ")";
    }
  }

  private static <T> java.util.Optional<T> within(CompletableFuture<T> value, Duration limit) {
    try {
      return java.util.Optional.of(value.get(limit.toMillis(), TimeUnit.MILLISECONDS));
    } catch (TimeoutException e) {
      return java.util.Optional.empty();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }

  /** Ends it; nothing of it stays. */
  @Override
  public void close() {
    boot.destroy();
    try {
      if (!boot.waitFor(30, TimeUnit.SECONDS)) {
        boot.destroyForcibly();
      }
      toMachine.close();
      fromMachine.close();
      deleteTree(place);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void deleteTree(Path directory) throws IOException {
    try (java.util.stream.Stream<Path> paths = Files.walk(directory)) {
      for (Path path : paths.sorted(java.util.Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(path);
      }
    }
  }
}
