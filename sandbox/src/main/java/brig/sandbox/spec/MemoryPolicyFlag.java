package brig.sandbox.spec;

import java.util.Optional;

/** Mode flags of linux/mempolicy.h. */
public enum MemoryPolicyFlag {
  STATIC_NODES("MPOL_F_STATIC_NODES", 0x8000),
  RELATIVE_NODES("MPOL_F_RELATIVE_NODES", 0x4000),
  NUMA_BALANCING("MPOL_F_NUMA_BALANCING", 0x2000);

  private final String specName;
  private final int number;

  MemoryPolicyFlag(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final MemoryPolicyFlag[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<MemoryPolicyFlag> ofSpecName(String specName) {
    for (MemoryPolicyFlag value : VALUES) {
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
