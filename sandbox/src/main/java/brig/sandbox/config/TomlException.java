package brig.sandbox.config;

/** A document that isn't TOML, and where. */
final class TomlException extends Exception {
  private static final long serialVersionUID = 1L;

  private final transient TomlTable.Position position;

  TomlException(String message, TomlTable.Position position) {
    super(message);
    this.position = position;
  }

  TomlTable.Position position() {
    return position;
  }
}
