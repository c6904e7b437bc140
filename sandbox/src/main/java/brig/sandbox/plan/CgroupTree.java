package brig.sandbox.plan;

import brig.proto.keeper.CgroupMount;
import brig.proto.keeper.HostFacts;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.Resources;
import brig.sandbox.systemd.ScopeName;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/**
 * Where a container stands in the host's cgroup hierarchies.
 *
 * <p>A host is a v1 host where a v1 hierarchy has a controller that v2 has a word for, even if an
 * empty v2 tree is mounted beside it; there a directory in the v2 tree is made only for limits of
 * controllers that live in it. On a v2 host only network classes, which have stayed on v1, take a
 * directory elsewhere; other v1 hierarchies beside it, named ones for example, are somebody else's
 * business.
 */
final class CgroupTree {
  /** Controllers that there are on v1 only (Documentation/admin-guide/cgroup-v1 of the kernel). */
  private static final Set<String> NETWORK = Set.of("net_cls", "net_prio");

  private CgroupTree() {}

  static boolean isV2(HostFacts host) {
    return host.getCgroupsList().stream()
        .noneMatch(mount -> !mount.getV2() && decides(mount.getControllersList()));
  }

  /** Whether a v1 hierarchy of these controllers makes its host a v1 host. */
  private static boolean decides(List<String> controllers) {
    return controllers.stream().anyMatch(one -> !one.startsWith("name=") && !NETWORK.contains(one));
  }

  /** The container's directories, to be made, or to be found where systemd makes them. */
  static List<CgroupDir> dirs(HostFacts host, SandboxConfig config, CreateInput in)
      throws BrigException {
    boolean v2Host = isV2(host);
    String cgroupsPath = in.spec().linux().cgroupsPath();
    Optional<ScopeName> scope = ScopeName.of(cgroupsPath);
    if (scope.isPresent() && !v2Host) {
      throw Refusal.notEnforced(
          "linux.cgroupsPath",
          "\"" + cgroupsPath + "\" asks for the systemd driver, which is there for cgroup v2 only",
          "use the cgroupfs driver, or boot with cgroup v2 alone");
    }
    Resources resources = in.spec().linux().resources();
    List<CgroupDir> dirs = new ArrayList<>();
    for (CgroupMount mount : host.getCgroupsList()) {
      boolean beside = mount.getV2() != v2Host;
      if (beside && !needsBeside(mount, resources)) {
        continue;
      }
      CgroupDir.Builder dir =
          CgroupDir.newBuilder()
              .setMountPoint(mount.getMountPoint())
              .setPath(scope.isPresent() ? scope.get().path() : path(config, in, cgroupsPath))
              .setV2(mount.getV2())
              // systemd makes a scope's.
              .setCreate(scope.isEmpty() || !mount.getV2())
              .setHidden(beside && v2Host)
              .setControllers(String.join(",", mount.getControllersList()));
      if (mount.getV2()) {
        dir.addAllEnable(mount.getControllersList());
      }
      dirs.add(dir.build());
    }
    if (dirs.isEmpty()) {
      throw Refusal.host("linux.cgroupsPath", "no cgroup hierarchy is mounted", "mount cgroups");
    }
    return dirs;
  }

  /** Whether a hierarchy of the version that isn't the host's is of use. */
  private static boolean needsBeside(CgroupMount mount, Resources resources) {
    if (!mount.getV2()) {
      boolean asked =
          resources.network().classId().isPresent() || !resources.network().priorities().isEmpty();
      return asked && mount.getControllersList().stream().anyMatch(NETWORK::contains);
    }
    boolean hugetlb =
        !resources.hugepageLimits().isEmpty() && mount.getControllersList().contains("hugetlb");
    return hugetlb || !resources.unified().isEmpty();
  }

  /** Relative to the mount point. */
  private static String path(SandboxConfig config, CreateInput in, String cgroupsPath)
      throws BrigException {
    String field = "linux.cgroupsPath";
    if (cgroupsPath.isEmpty()) {
      return relative(
          field, config.cgroupParent() + "/" + in.containerdNamespace() + "/" + in.id());
    }
    if (cgroupsPath.startsWith("/")) {
      return relative(field, cgroupsPath);
    }
    return relative(field, config.cgroupParent() + "/" + cgroupsPath);
  }

  private static String relative(String field, String path) throws BrigException {
    for (String part : path.split("/", -1)) {
      if (part.equals("..") || part.indexOf('\n') >= 0) {
        throw Refusal.invalid(field, "\"" + path + "\" leaves its hierarchy", "");
      }
    }
    String normal = InsidePath.normal(path).substring(1);
    if (normal.isEmpty()) {
      throw Refusal.invalid(field, "is the root of the hierarchy", "");
    }
    return normal;
  }

  /** The directory with this controller: on v1 its own hierarchy, on v2 the one tree. */
  static Optional<CgroupDir> find(List<CgroupDir> dirs, String controller) {
    return dirs.stream()
        .filter(dir -> List.of(dir.getControllers().split(",", -1)).contains(controller))
        .findFirst();
  }

  static Optional<CgroupDir> v2(List<CgroupDir> dirs) {
    return dirs.stream().filter(CgroupDir::getV2).findFirst();
  }

  /** Whether the container's main controllers are on the v2 tree. */
  static boolean isV2(List<CgroupDir> dirs) {
    return dirs.stream()
        .noneMatch(dir -> !dir.getV2() && decides(List.of(dir.getControllers().split(",", -1))));
  }

  static String absolute(CgroupDir dir) {
    return dir.getMountPoint() + "/" + dir.getPath();
  }
}
