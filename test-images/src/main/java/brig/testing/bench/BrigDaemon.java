package brig.testing.bench;

import brig.testing.Command;
import brig.testing.Eventually;
import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.OptionalInt;
import jnr.constants.platform.Signal;

/** A daemon of Brig's with a configuration of its own, started by whoever needs it first. */
final class BrigDaemon implements AutoCloseable {

  private final Path prefix;
  private final Path place;

  private BrigDaemon(Path prefix, Path place) {
    this.prefix = prefix;
    this.place = place;
  }

  /** Writes the configuration; nothing is started. */
  static BrigDaemon configure(Path prefix, Path place) {
    try {
      Files.writeString(
          place.resolve("brig.toml"),
          """
          [paths]
          run = "%s/run"
          var = "%s/var"
          sockets = "%s/s"
          floor = "%s/etc/brig/floor"
          """
              .formatted(place, place, place, prefix));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new BrigDaemon(prefix, place);
  }

  /** What leads shims and commands to this daemon. */
  Map<String, String> environment() {
    return Map.of("BRIG_CONFIG", place.resolve("brig.toml").toString());
  }

  /** The {@code brig} command with this daemon. */
  Command command(String... arguments) {
    String[] line = new String[arguments.length + 1];
    line[0] = prefix.resolve("bin/brig").toString();
    System.arraycopy(arguments, 0, line, 1, arguments.length);
    return Command.of(line).environment(environment());
  }

  /** Its pid, while it runs. */
  OptionalInt pid() {
    try {
      int pid = Integer.parseInt(Files.readString(place.resolve("run/brigd.pid")).trim());
      return Processes.alive(pid) ? OptionalInt.of(pid) : OptionalInt.empty();
    } catch (IOException e) {
      return OptionalInt.empty();
    }
  }

  /** Ends it and waits for its end. */
  void stop() {
    OptionalInt pid = pid();
    if (pid.isPresent()) {
      Processes.signal(pid.getAsInt(), Signal.SIGTERM);
      Eventually.holds("brigd ends", () -> !Processes.alive(pid.getAsInt()));
    }
  }

  @Override
  public void close() {
    stop();
    Command.of("rm", "-rf", "--one-file-system", place.toString()).run();
  }
}
