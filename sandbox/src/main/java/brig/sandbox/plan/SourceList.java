package brig.sandbox.plan;

import brig.proto.keeper.Source;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Collects sources; handles count from 1 in the order of asking. */
final class SourceList {
  private final List<Source> sources = new ArrayList<>();
  private final Map<String, Integer> handles = new HashMap<>();

  void add(String purpose, Source.Kind kind, String path) {
    add(purpose, kind, path, false);
  }

  /** As {@link #add}, with a report on the mount it stands on. */
  void addWithMount(String purpose, Source.Kind kind, String path) {
    add(purpose, kind, path, true);
  }

  private void add(String purpose, Source.Kind kind, String path, boolean wantMount) {
    int handle = sources.size() + 1;
    if (handles.put(purpose, handle) != null) {
      throw new IllegalStateException(purpose + " is asked for twice");
    }
    sources.add(
        Source.newBuilder()
            .setHandle(handle)
            .setKind(kind)
            .setPath(path)
            .setWantMount(wantMount)
            .build());
  }

  SourcePlan plan(Optional<OverlayLayers> mountedRoot) {
    return new SourcePlan(sources, handles, mountedRoot);
  }
}
