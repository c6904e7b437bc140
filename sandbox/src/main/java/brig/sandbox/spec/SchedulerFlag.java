package brig.sandbox.spec;

import java.util.Optional;

/** Flags of {@code struct sched_attr}, numbers of linux/sched.h. */
public enum SchedulerFlag {
  RESET_ON_FORK("SCHED_FLAG_RESET_ON_FORK", 0x01),
  RECLAIM("SCHED_FLAG_RECLAIM", 0x02),
  DL_OVERRUN("SCHED_FLAG_DL_OVERRUN", 0x04),
  KEEP_POLICY("SCHED_FLAG_KEEP_POLICY", 0x08),
  KEEP_PARAMS("SCHED_FLAG_KEEP_PARAMS", 0x10),
  UTIL_CLAMP_MIN("SCHED_FLAG_UTIL_CLAMP_MIN", 0x20),
  UTIL_CLAMP_MAX("SCHED_FLAG_UTIL_CLAMP_MAX", 0x40);

  private final String specName;
  private final int number;

  SchedulerFlag(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final SchedulerFlag[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<SchedulerFlag> ofSpecName(String specName) {
    for (SchedulerFlag value : VALUES) {
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
