package brig.sandbox.spec;

import java.util.OptionalLong;

/** {@code linux.resources.cpu}; times in microseconds. */
public record CpuLimits(
    OptionalLong shares,
    OptionalLong quota,
    OptionalLong burst,
    OptionalLong period,
    OptionalLong realtimeRuntime,
    OptionalLong realtimePeriod,
    String cpus,
    String mems,
    OptionalLong idle) {
  public static final CpuLimits NONE =
      new CpuLimits(
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          "",
          "",
          OptionalLong.empty());

  /** The same with another quota and period. */
  public CpuLimits withQuota(OptionalLong otherQuota, OptionalLong otherPeriod) {
    return new CpuLimits(
        shares, otherQuota, burst, otherPeriod, realtimeRuntime, realtimePeriod, cpus, mems, idle);
  }
}
