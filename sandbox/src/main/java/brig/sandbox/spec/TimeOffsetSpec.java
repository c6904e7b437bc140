package brig.sandbox.spec;

/** {@code linux.timeOffsets{}}. */
public record TimeOffsetSpec(long secs, long nanosecs) {}
