package brig.sandbox.spec;

import java.util.Optional;

/**
 * Values of {@code linux.rootfsPropagation}, with the flags of mount(2), MS_REC included for the
 * r-forms.
 */
public enum Propagation {
  PRIVATE("private", 0x40000),
  RPRIVATE("rprivate", 0x44000),
  SLAVE("slave", 0x80000),
  RSLAVE("rslave", 0x84000),
  SHARED("shared", 0x100000),
  RSHARED("rshared", 0x104000),
  UNBINDABLE("unbindable", 0x20000),
  RUNBINDABLE("runbindable", 0x24000);

  private final String specName;
  private final int number;

  Propagation(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final Propagation[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<Propagation> ofSpecName(String specName) {
    for (Propagation value : VALUES) {
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
