package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.Paths;
import brig.sandbox.config.ConfigFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;

/** Finds and reads brig.toml, as the launcher does. */
final class Configuration {
  private static final String DEFAULT_FILE = "etc/brig/brig.toml";

  private Configuration() {}

  static SandboxConfig read(Options options) throws BrigException {
    SandboxConfig config = readFile(options);
    if (options.run().isEmpty()) {
      return config;
    }
    Paths paths = config.paths();
    return config.with(new Paths(options.run().get().toString(), paths.var(), paths.floor()));
  }

  private static SandboxConfig readFile(Options options) throws BrigException {
    Path file = options.config().orElse(options.root().resolve(DEFAULT_FILE));
    Optional<String> text = text(file);
    if (text.isPresent()) {
      return ConfigFile.parse(text.get(), file.toString(), places(options.root()));
    }
    if (options.config().isPresent()) {
      throw new BrigException(
          Kind.NOT_FOUND,
          "read the configuration",
          file.toString(),
          "no such file",
          "create it, or unset " + Options.CONFIG_VARIABLE);
    }
    return SandboxConfig.DEFAULT.with(places(options.root()));
  }

  private static Optional<String> text(Path file) throws BrigException {
    try {
      return Optional.of(Files.readString(file));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      throw new BrigException(
          Kind.FAILED_PRECONDITION,
          "read the configuration",
          file.toString(),
          String.valueOf(e.getMessage()),
          "make it a file that the daemon can read");
    }
  }

  /** The defaults' places, moved beneath another directory than the system's root. */
  private static Paths places(Path root) {
    return new Paths(
        moved(root, Paths.DEFAULT.run()),
        moved(root, Paths.DEFAULT.var()),
        moved(root, Paths.DEFAULT.floor()));
  }

  private static String moved(Path root, String path) {
    return root.resolve(path.substring(1)).toString();
  }
}
