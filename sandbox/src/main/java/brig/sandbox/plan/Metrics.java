package brig.sandbox.plan;

/** What a container uses, in the form of its host's cgroup version. */
public sealed interface Metrics permits MetricsV1, MetricsV2 {}
