package brig.sandbox.config;

import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;

/**
 * brig.toml. Errors name file, line and column; an unknown key is refused with the nearest known
 * one.
 */
public final class ConfigFile {
  private ConfigFile() {}

  /**
   * @param text content of the file
   * @param name of the file, for messages
   */
  public static SandboxConfig parse(String text, String name) throws BrigException {
    throw new UnsupportedOperationException();
  }
}
