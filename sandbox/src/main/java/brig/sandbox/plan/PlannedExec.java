package brig.sandbox.plan;

import brig.proto.plan.LaunchPlan;
import java.util.List;

/**
 * A plan for a further process in a container.
 *
 * @param stdioUid host id that owns the stdio pipes
 * @param stdioGid host id that owns the stdio pipes
 * @param notes what was granted differently from what was asked, one sentence each
 */
public record PlannedExec(LaunchPlan plan, int stdioUid, int stdioGid, List<String> notes) {
  public PlannedExec {
    notes = List.copyOf(notes);
  }
}
