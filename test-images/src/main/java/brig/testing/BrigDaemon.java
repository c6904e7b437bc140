package brig.testing;

import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import jnr.constants.platform.Signal;

/** A daemon of Brig's with a configuration of its own, started by whoever needs it first. */
public final class BrigDaemon implements AutoCloseable {

  private static final long FIRST_ID = 1_879_048_192L;

  private static final int PODS = 100;

  /** How many ids its pool has, unless it is to have more. */
  public static final long IDS = PODS * 65_536L;

  private static final AtomicInteger COUNTER = new AtomicInteger();

  private final Path prefix;
  private final Path place;
  private final Path ownRun;
  private final Path ownConfiguration;

  private BrigDaemon(Path prefix, Path place, Path ownRun, Path ownConfiguration) {
    this.prefix = prefix;
    this.place = place;
    this.ownRun = ownRun;
    this.ownConfiguration = ownConfiguration;
  }

  /** Writes the configuration, with ids for so many pods at one time; nothing is started. */
  public static BrigDaemon configure(Path prefix, Path place, int pods) {
    int parts = (pods + PODS - 1) / PODS;
    long pool = FIRST_ID + (long) COUNTER.getAndAdd(parts) * IDS;
    Path run = place.resolve("run");
    return new BrigDaemon(
        prefix, place, run, write(prefix, place, "brig.toml", run, pool, parts * IDS, ""));
  }

  /** The same for 100 pods, with more lines of configuration. */
  public static BrigDaemon configure(Path prefix, Path place, String more) {
    // Ranges of ids that no other daemon of this run gives out.
    long pool = FIRST_ID + (long) COUNTER.getAndIncrement() * IDS;
    Path run = place.resolve("run");
    Path file = write(prefix, place, "brig.toml", run, pool, IDS, more);
    return new BrigDaemon(prefix, place, run, file);
  }

  /**
   * One that keepers don't find where they look for it: its own run directory is another than
   * theirs, so that somebody can stand in between. To be started by {@link #command}. It has ids
   * for 400 pods: those of a pod whose keeper was killed stay taken for half a minute and longer.
   */
  public static BrigDaemon configureApart(Path prefix, Path place) {
    long pool = FIRST_ID + (long) COUNTER.getAndAdd(4) * IDS;
    Path run = place.resolve("run");
    Path ownRun = place.resolve("daemon");
    write(prefix, place, "brig.toml", run, pool, 4 * IDS, "");
    Path file = write(prefix, place, "daemon.toml", ownRun, pool, 4 * IDS, "");
    try {
      Files.createDirectories(run.resolve("pods"));
      Files.createDirectories(ownRun);
      // The daemon looks at what keepers have recorded.
      Files.createSymbolicLink(ownRun.resolve("pods"), run.resolve("pods"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new BrigDaemon(prefix, place, ownRun, file);
  }

  private static Path write(
      Path prefix, Path place, String name, Path run, long pool, long size, String more) {
    try {
      Path floor = Files.createDirectories(place.resolve("floor")).resolve("brig.floor");
      if (!Files.exists(floor)) {
        Files.copy(prefix.resolve("etc/brig/floor/brig.floor"), floor);
      }
      return Files.writeString(
          place.resolve(name),
          """
          [paths]
          run = "%s"
          var = "%s/var"
          sockets = "%s/s"
          floor = "%s/floor"
          [ids]
          pool_start = %d
          pool_size = %d
          %s
          """
              .formatted(run, place, place, place, pool, size, more));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Takes a rule out of what no plan may go below; before the first container. */
  public void lowerFloor(String rule) {
    Path floor = place.resolve("floor/brig.floor");
    try {
      List<String> lines = Files.readAllLines(floor);
      if (!lines.remove(rule)) {
        throw new AssertionError("no rule " + rule + " in " + floor);
      }
      Files.write(floor, lines);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What leads shims to this daemon. */
  public Map<String, String> environment() {
    return Map.of("BRIG_CONFIG", place.resolve("brig.toml").toString());
  }

  /** The {@code brig} command with this daemon. */
  public Command command(String... arguments) {
    String[] line = new String[arguments.length + 1];
    line[0] = prefix.resolve("bin/brig").toString();
    System.arraycopy(arguments, 0, line, 1, arguments.length);
    return Command.of(line).environment(Map.of("BRIG_CONFIG", ownConfiguration.toString()));
  }

  /** Its pid, while it runs. */
  public OptionalInt pid() {
    try {
      String written = Files.readString(ownRun.resolve("brigd.pid")).trim();
      // Empty for a moment while a new daemon writes it.
      if (written.isEmpty() || !Processes.alive(Integer.parseInt(written))) {
        return OptionalInt.empty();
      }
      return OptionalInt.of(Integer.parseInt(written));
    } catch (IOException e) {
      return OptionalInt.empty();
    }
  }

  /** Ends it, and its supervisor, which would start it again, and waits for its end. */
  public void stop() {
    OptionalInt pid = pid();
    if (pid.isPresent()) {
      int parent = Processes.parent(pid.getAsInt());
      boolean supervised = Processes.commandLine(parent).equals("brigd --supervise");
      Processes.signal(supervised ? parent : pid.getAsInt(), Signal.SIGTERM);
      Eventually.holds(
          "brigd ends", () -> hasEnded(pid.getAsInt()) && !(supervised && Processes.alive(parent)));
    }
  }

  /** Wholly: the first thread may have ended while others still hold the socket. */
  private static boolean hasEnded(int pid) {
    if (Processes.alive(pid)) {
      return false;
    }
    try (Stream<Path> threads = Files.list(Path.of("/proc", Integer.toString(pid), "task"))) {
      return threads.count() == 1;
    } catch (IOException e) {
      // Nobody is left, nor has anybody to collect its status.
      return true;
    }
  }

  /** Makes its configuration one that no daemon starts with; what is given back mends it. */
  public Runnable spoilConfiguration() {
    try {
      String good = Files.readString(ownConfiguration);
      Files.writeString(ownConfiguration, "spoilt on purpose");
      return () -> mend(good);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void mend(String good) {
    try {
      Files.writeString(ownConfiguration, good);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Its log so far. */
  public String log() {
    try {
      return Files.readString(ownRun.resolve("brigd.log"));
    } catch (IOException e) {
      return "(no log: " + e + ")";
    }
  }

  /** Where sockets and state of the pods lie. */
  public Path run() {
    return place.resolve("run");
  }

  /** Where its own files lie; the same place, unless it stands apart. */
  public Path ownRun() {
    return ownRun;
  }

  @Override
  public void close() {
    stop();
    Command.of("rm", "-rf", "--one-file-system", place.toString()).run();
  }
}
