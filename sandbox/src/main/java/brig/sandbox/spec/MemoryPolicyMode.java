package brig.sandbox.spec;

import java.util.Optional;

/** Memory policies and their numbers in linux/mempolicy.h. */
public enum MemoryPolicyMode {
  DEFAULT("MPOL_DEFAULT", 0),
  PREFERRED("MPOL_PREFERRED", 1),
  BIND("MPOL_BIND", 2),
  INTERLEAVE("MPOL_INTERLEAVE", 3),
  LOCAL("MPOL_LOCAL", 4),
  PREFERRED_MANY("MPOL_PREFERRED_MANY", 5),
  WEIGHTED_INTERLEAVE("MPOL_WEIGHTED_INTERLEAVE", 6);

  private final String specName;
  private final int number;

  MemoryPolicyMode(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final MemoryPolicyMode[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<MemoryPolicyMode> ofSpecName(String specName) {
    for (MemoryPolicyMode value : VALUES) {
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
