package brig.sandbox.plan;

import brig.proto.keeper.Source;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What native must open before a plan can be made.
 *
 * @param sources for {@code OpenStage}
 * @param handles purpose within the planner to handle
 * @param mountedRoot where the root is already a mounted overlay: its layers, opened in a second
 *     round
 */
public record SourcePlan(
    List<Source> sources, Map<String, Integer> handles, Optional<OverlayLayers> mountedRoot) {
  public SourcePlan {
    sources = List.copyOf(sources);
    handles = Map.copyOf(handles);
  }
}
