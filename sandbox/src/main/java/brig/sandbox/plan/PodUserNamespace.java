package brig.sandbox.plan;

import brig.proto.plan.IdMap;
import java.util.List;

/**
 * The user namespace of a pod that already has a container.
 *
 * @param initPid host pid of a live process in it; the plan joins {@code /proc/<pid>/ns/user}
 */
public record PodUserNamespace(int initPid, List<IdMap> uidMaps, List<IdMap> gidMaps) {
  public PodUserNamespace {
    uidMaps = List.copyOf(uidMaps);
    gidMaps = List.copyOf(gidMaps);
  }
}
