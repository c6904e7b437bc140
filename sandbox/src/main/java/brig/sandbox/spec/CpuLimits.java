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
}
