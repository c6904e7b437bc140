package brig.testing;

import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import jnr.constants.platform.Signal;

/** A daemon of Brig's with a configuration of its own, started by whoever needs it first. */
public final class BrigDaemon implements AutoCloseable {

  private static final long FIRST_ID = 1_879_048_192L;

  /** How many ids its pool has. */
  public static final long IDS = 100 * 65_536L;

  private static final AtomicInteger COUNTER = new AtomicInteger();

  private final Path prefix;
  private final Path place;

  private BrigDaemon(Path prefix, Path place) {
    this.prefix = prefix;
    this.place = place;
  }

  /** Writes the configuration; nothing is started. */
  public static BrigDaemon configure(Path prefix, Path place) {
    return configure(prefix, place, "");
  }

  /** The same with more lines of configuration. */
  public static BrigDaemon configure(Path prefix, Path place, String more) {
    // Ranges of ids that no other daemon of this run gives out, 100 pods for each.
    long pool = FIRST_ID + (long) COUNTER.getAndIncrement() * IDS;
    try {
      Files.createDirectories(place);
      Files.writeString(
          place.resolve("brig.toml"),
          """
          [paths]
          run = "%s/run"
          var = "%s/var"
          sockets = "%s/s"
          floor = "%s/etc/brig/floor"
          [ids]
          pool_start = %d
          pool_size = %d
          %s
          """
              .formatted(place, place, place, prefix, pool, IDS, more));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new BrigDaemon(prefix, place);
  }

  /** What leads shims and commands to this daemon. */
  public Map<String, String> environment() {
    return Map.of("BRIG_CONFIG", place.resolve("brig.toml").toString());
  }

  /** The {@code brig} command with this daemon. */
  public Command command(String... arguments) {
    String[] line = new String[arguments.length + 1];
    line[0] = prefix.resolve("bin/brig").toString();
    System.arraycopy(arguments, 0, line, 1, arguments.length);
    return Command.of(line).environment(environment());
  }

  /** Its pid, while it runs. */
  public OptionalInt pid() {
    try {
      String written = Files.readString(place.resolve("run/brigd.pid")).trim();
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

  /** Its log so far. */
  public String log() {
    try {
      return Files.readString(place.resolve("run/brigd.log"));
    } catch (IOException e) {
      return "(no log: " + e + ")";
    }
  }

  /** Where sockets and state of the pods lie. */
  public Path run() {
    return place.resolve("run");
  }

  @Override
  public void close() {
    stop();
    Command.of("rm", "-rf", "--one-file-system", place.toString()).run();
  }
}
