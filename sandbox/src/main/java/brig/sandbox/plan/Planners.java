package brig.sandbox.plan;

import brig.profiles.seccomp.SeccompFilters;
import brig.proto.keeper.HostFacts;
import brig.sandbox.SandboxConfig;

/**
 * Makes the planner of each pod. What they share is compiled once for the node: the seccomp
 * programs.
 */
public final class Planners {
  private final SandboxConfig config;
  private final SeccompFilters filters = new SeccompFilters();

  public Planners(SandboxConfig config) {
    this.config = config;
  }

  /** A planner for a pod whose keeper sees this host. */
  public Planner on(HostFacts host) {
    return new Planner(host, config, filters);
  }
}
