package brig.sandbox.spec;

/** {@code process.execCPUAffinity}: CPU lists ("0-3,7") before and after the cgroup is entered. */
public record CpuAffinity(String initial, String finalCpus) {}
