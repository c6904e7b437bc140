package brig.sandbox.plan;

import brig.proto.keeper.ContainerCare;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.LaunchPlan;
import java.util.List;

/**
 * A plan for a container, with what its keeper and its later life need.
 *
 * @param plan what native carries out
 * @param care what the keeper must know to watch, kill and clean up
 * @param cgroups the container's cgroup directories, for update, pause, stats and exec
 * @param stdioUid host id that owns the stdio pipes
 * @param stdioGid host id that owns the stdio pipes
 * @param notes what was granted differently from what was asked, one sentence each, for {@code brig
 *     explain}
 */
public record PlannedContainer(
    LaunchPlan plan,
    ContainerCare care,
    List<CgroupDir> cgroups,
    int stdioUid,
    int stdioGid,
    List<String> notes) {
  public PlannedContainer {
    cgroups = List.copyOf(cgroups);
    notes = List.copyOf(notes);
  }

  /** The same with another plan. */
  public PlannedContainer withPlan(LaunchPlan other) {
    return new PlannedContainer(other, care, cgroups, stdioUid, stdioGid, notes);
  }
}
