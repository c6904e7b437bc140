package brig.sandbox.config;

import brig.sandbox.BrigException;
import java.nio.charset.StandardCharsets;

/** A brig.toml: a configuration, or a refusal that names the file. */
public final class ConfigFuzzTarget {
  private ConfigFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    try {
      ConfigFile.parse(new String(bytes, StandardCharsets.UTF_8), "brig.toml");
    } catch (BrigException refused) {
      if (!String.valueOf(refused.getMessage()).contains("brig.toml")) {
        throw new IllegalStateException(refused);
      }
    }
  }
}
