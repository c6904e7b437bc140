package brig.sandbox.plan;

import brig.proto.keeper.CgroupOp;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import java.util.List;
import java.util.Optional;

/** Stopping all of a container's processes, and letting them go on. */
final class Freezer {
  /**
   * A process in an uninterruptible wait can't be frozen; the caller's own deadline is near this.
   */
  private static final int PATIENCE_MILLIS = 10_000;

  private Freezer() {}

  static CgroupOp freeze(String containerId, List<CgroupDir> dirs) throws BrigException {
    return operation(containerId, dirs, "1", "frozen 1", "FROZEN");
  }

  static CgroupOp thaw(String containerId, List<CgroupDir> dirs) throws BrigException {
    return operation(containerId, dirs, "0", "frozen 0", "THAWED");
  }

  private static CgroupOp operation(
      String containerId, List<CgroupDir> dirs, String v2, String v2State, String v1)
      throws BrigException {
    Optional<CgroupDir> hierarchy = CgroupTree.find(dirs, "freezer").filter(dir -> !dir.getV2());
    if (hierarchy.isPresent()) {
      String file = CgroupTree.absolute(hierarchy.get()) + "/freezer.state";
      return operation(containerId, file, v1, file, v1);
    }
    String directory =
        CgroupTree.v2(dirs)
            .map(CgroupTree::absolute)
            .orElseThrow(() ->
                Refusal.host(
                    containerId,
                    "can't be paused: this host has no freezer",
                    "mount the cgroup controller freezer"));
    return operation(
        containerId, directory + "/cgroup.freeze", v2, directory + "/cgroup.events", v2State);
  }

  private static CgroupOp operation(
      String containerId, String file, String value, String stateFile, String state) {
    return CgroupOp.newBuilder()
        .setContainerId(containerId)
        .addWrites(CgroupOp.Write.newBuilder().setPath(file).setValue(value))
        .setAwaitFile(stateFile)
        .setAwaitContent(state)
        .setAwaitMillis(PATIENCE_MILLIS)
        .build();
  }
}
