package brig.sandbox.spec;

/** {@code process.rlimits[]}; limits are unsigned, all bits set is RLIM_INFINITY. */
public record RlimitSpec(Rlimit type, long soft, long hard) {}
