package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * How the daemon was called.
 *
 * @param config the configuration file to read; empty: none is there, the defaults hold
 * @param root beneath which the defaults' places lie; {@code /} for the distribution's
 * @param run the run directory, where it is not the configuration's
 * @param listen the socket to bind, where none was handed down as standard input
 */
record Options(Optional<Path> config, Path root, Optional<Path> run, Optional<Path> listen) {
  /** Names another configuration file. */
  static final String CONFIG_VARIABLE = "BRIG_CONFIG";

  /** Set by the starter: the directory that stands for the system's root. */
  static final String PREFIX_VARIABLE = "BRIG_PREFIX";

  static Options parse(List<String> arguments, Map<String, String> environment)
      throws BrigException {
    Optional<Path> config = path(environment, CONFIG_VARIABLE);
    Path root = path(environment, PREFIX_VARIABLE).orElse(Path.of("/"));
    Optional<Path> run = Optional.empty();
    Optional<Path> listen = Optional.empty();
    for (int i = 0; i < arguments.size(); i += 2) {
      String name = arguments.get(i);
      if (i + 1 == arguments.size()) {
        throw wrong(name, "its value is missing");
      }
      Path value = absolute(name, arguments.get(i + 1));
      switch (name) {
        case "--config" -> config = Optional.of(value);
        case "--run" -> run = Optional.of(value);
        case "--listen" -> listen = Optional.of(value);
        default -> throw wrong(name, "is unknown");
      }
    }
    return new Options(config, root, run, listen);
  }

  private static Optional<Path> path(Map<String, String> environment, String name)
      throws BrigException {
    String value = environment.getOrDefault(name, "");
    return value.isEmpty() ? Optional.empty() : Optional.of(absolute(name, value));
  }

  private static Path absolute(String name, String value) throws BrigException {
    if (!value.startsWith("/")) {
      throw wrong(name, "\"" + value + "\" is no absolute path");
    }
    return Path.of(value);
  }

  private static BrigException wrong(String name, String reason) {
    return new BrigException(
        Kind.INVALID_ARGUMENT,
        "read the command line",
        name,
        reason,
        "known are --config FILE, --run DIR and --listen SOCKET, all absolute");
  }
}
