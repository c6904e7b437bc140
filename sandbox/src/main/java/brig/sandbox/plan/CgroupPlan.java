package brig.sandbox.plan;

import brig.proto.plan.CgroupDir;
import brig.proto.plan.CgroupWrite;
import brig.proto.plan.Cgroups;
import brig.proto.plan.Scope;
import brig.sandbox.BrigException;
import brig.sandbox.spec.Resources;
import brig.sandbox.systemd.ScopeName;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The container's cgroups: directories, limits in the order of writing, devices. */
final class CgroupPlan {
  private CgroupPlan() {}

  static Cgroups plan(PlanContext context) throws BrigException {
    List<CgroupDir> dirs = CgroupTree.dirs(context.host(), context.config(), context.in());
    Resources resources = context.linux().resources();
    DeviceRules devices = DeviceRules.of(resources.devices());
    Cgroups.Builder cgroups = Cgroups.newBuilder().addAllDirs(dirs);
    ScopeName.of(context.linux().cgroupsPath())
        .ifPresent(name ->
            cgroups.setScope(Scope.newBuilder().setUnit(name.unit()).setSlice(name.slice())));
    List<Limit> limits = new ArrayList<>(limits(dirs, resources));
    if (CgroupTree.isV2(dirs)) {
      cgroups.setDeviceProgram(ByteString.copyFrom(DeviceProgram.compile(devices)));
    } else {
      limits.addAll(devices.v1());
    }
    for (Limit limit : limits) {
      CgroupDir dir = dir(dirs, limit);
      cgroups.addWrites(
          CgroupWrite.newBuilder()
              .setDir(dirs.indexOf(dir))
              .setFile(limit.file())
              .setValue(limit.value())
              .setAskedBy(limit.askedBy()));
    }
    return cgroups.build();
  }

  /** The spec's limits for the directories' version of cgroups, without devices. */
  static List<Limit> limits(List<CgroupDir> dirs, Resources resources) throws BrigException {
    if (CgroupTree.isV2(dirs)) {
      return LimitsV2.of(resources);
    }
    boolean hugetlbOnV2 = CgroupTree.find(dirs, "hugetlb").map(CgroupDir::getV2).orElse(false);
    List<Limit> limits = new ArrayList<>();
    for (Limit limit : LimitsV1.of(resources)) {
      if (!(hugetlbOnV2 && limit.controller().equals("hugetlb"))) {
        limits.add(limit);
      }
    }
    if (hugetlbOnV2) {
      limits.addAll(LimitsV2.hugepageLimits(resources));
    }
    limits.addAll(unifiedBesideV1(dirs, resources));
    return limits;
  }

  private static List<Limit> unifiedBesideV1(List<CgroupDir> dirs, Resources resources)
      throws BrigException {
    List<Limit> limits = LimitsV2.unified(resources);
    for (Limit limit : limits) {
      if (!CgroupTree.find(dirs, limit.controller()).map(CgroupDir::getV2).orElse(false)) {
        throw Refusal.host(
            limit.askedBy(), "is for cgroup v2; " + limit.controller() + " is on v1 here", "");
      }
    }
    return limits;
  }

  static CgroupDir dir(List<CgroupDir> dirs, Limit limit) throws BrigException {
    return CgroupTree.find(dirs, limit.controller())
        .or(() -> limit.file().startsWith("cgroup.") ? CgroupTree.v2(dirs) : Optional.empty())
        .orElseThrow(() ->
            Refusal.host(
                limit.askedBy(),
                "can't be enforced: this host has no cgroup controller " + limit.controller(),
                "enable it, or leave the limit out"));
  }
}
