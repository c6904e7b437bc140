package brig.sandbox.plan;

import brig.proto.keeper.Source;
import java.util.List;

/**
 * What native must open before a plan can be made.
 *
 * @param sources for {@code OpenStage}
 * @param round 1 for the first look, 2 where its reports showed that more must be opened
 */
public record SourcePlan(List<Source> sources, int round) {
  public SourcePlan {
    sources = List.copyOf(sources);
  }
}
