package brig.sandbox.spec;

import java.util.Optional;

/** Kinds of device nodes; {@code u} is a character device too. */
public enum DeviceType {
  EVERY("a"),
  CHAR("c"),
  UNBUFFERED("u"),
  BLOCK("b"),
  FIFO("p");

  private final String specName;

  DeviceType(String specName) {
    this.specName = specName;
  }

  private static final DeviceType[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<DeviceType> ofSpecName(String specName) {
    for (DeviceType value : VALUES) {
      if (value.specName.equals(specName)) {
        return Optional.of(value);
      }
    }
    return Optional.empty();
  }

  public String specName() {
    return specName;
  }
}
