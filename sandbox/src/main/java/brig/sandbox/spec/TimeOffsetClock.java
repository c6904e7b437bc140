package brig.sandbox.spec;

import java.util.Optional;

/** Clocks that a time namespace can offset. */
public enum TimeOffsetClock {
  MONOTONIC("monotonic"),
  BOOTTIME("boottime");

  private final String specName;

  TimeOffsetClock(String specName) {
    this.specName = specName;
  }

  private static final TimeOffsetClock[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<TimeOffsetClock> ofSpecName(String specName) {
    for (TimeOffsetClock value : VALUES) {
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
