package brig.sandbox.spec;

import java.util.Set;

/** {@code process.scheduler}; runtime, deadline and period in nanoseconds. */
public record SchedulerSpec(
    SchedulerPolicy policy,
    int nice,
    int priority,
    Set<SchedulerFlag> flags,
    long runtime,
    long deadline,
    long period) {
  public SchedulerSpec {
    flags = Set.copyOf(flags);
  }
}
