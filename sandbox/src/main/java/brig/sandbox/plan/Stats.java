package brig.sandbox.plan;

import brig.proto.keeper.FileContent;
import brig.proto.plan.CgroupDir;
import java.util.List;

/** Resource use of a container: which cgroup files to read, and what they say. */
public final class Stats {
  private Stats() {}

  /** Files to read, for {@code CgroupOp.reads}; some need not exist. */
  public static List<String> statsFiles(List<CgroupDir> cgroups) {
    return CgroupTree.isV2(cgroups) ? StatsV2.files(cgroups) : StatsV1.files(cgroups);
  }

  /**
   * @param files contents of {@link #statsFiles}, in its order
   * @param devices names for what is counted by device
   */
  public static Metrics parse(
      List<CgroupDir> cgroups, List<FileContent> files, BlockDevices devices) {
    CgroupFiles contents = new CgroupFiles(statsFiles(cgroups), files);
    return CgroupTree.isV2(cgroups)
        ? StatsV2.parse(cgroups, contents)
        : StatsV1.parse(cgroups, contents, devices);
  }
}
