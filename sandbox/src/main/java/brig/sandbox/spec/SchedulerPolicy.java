package brig.sandbox.spec;

import java.util.Optional;

/** Scheduling policies and their numbers in linux/sched.h. */
public enum SchedulerPolicy {
  OTHER("SCHED_OTHER", 0),
  FIFO("SCHED_FIFO", 1),
  RR("SCHED_RR", 2),
  BATCH("SCHED_BATCH", 3),
  ISO("SCHED_ISO", 4),
  IDLE("SCHED_IDLE", 5),
  DEADLINE("SCHED_DEADLINE", 6);

  private final String specName;
  private final int number;

  SchedulerPolicy(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final SchedulerPolicy[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<SchedulerPolicy> ofSpecName(String specName) {
    for (SchedulerPolicy value : VALUES) {
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
