package brig.sandbox.plan;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.Bind;
import brig.proto.plan.CgroupView;
import brig.proto.plan.Fresh;
import brig.proto.plan.Mount;
import brig.sandbox.BrigException;
import brig.sandbox.spec.MountSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** The mounts beneath the root, in the spec's order. */
final class MountPlan {
  private static final int MS_SHARED = 0x100000;
  private static final int MS_REC = 0x4000;

  /** File systems that make what they show and take no source. */
  private static final Set<String> SOURCELESS =
      Set.of(
          "proc",
          "sysfs",
          "tmpfs",
          "devpts",
          "mqueue",
          "cgroup",
          "cgroup2",
          "ramfs",
          "hugetlbfs",
          "bpf",
          "binfmt_misc",
          "securityfs",
          "debugfs",
          "tracefs",
          "configfs");

  /** Destinations that must be directories of the root itself, never links. */
  private static final Set<String> NEVER_LINKS = Set.of("/proc", "/sys", "/dev");

  private MountPlan() {}

  /** Asks for the sources of the spec's mounts. */
  static void sources(CreateInput in, SourceList sources) throws BrigException {
    List<MountSpec> mounts = in.spec().mounts();
    for (int i = 0; i < mounts.size(); i++) {
      source(in, field(i), "mount." + i, mounts.get(i), sources);
    }
  }

  /** Asks for the sources of containerd's further mounts, which go into the root. */
  static void rootfsSources(CreateInput in, SourceList sources) throws BrigException {
    for (int i = RootPlan.index(in) + 1; i < in.rootfs().size(); i++) {
      source(in, rootfsField(i), "rootfs." + i, spec(in.rootfs().get(i)), sources);
    }
  }

  private static void source(
      CreateInput in, String field, String purpose, MountSpec mount, SourceList sources)
      throws BrigException {
    MountOptions options = MountOptions.parse(field, mount.options());
    if (isBind(mount, options)) {
      if (mount.source().isEmpty()) {
        throw Refusal.invalid(field + ".source", "is missing", "");
      }
      sources.addWithMount(
          purpose,
          Source.Kind.BIND,
          mount.source().startsWith("/") ? mount.source() : in.bundle() + "/" + mount.source());
    } else if (mount.type().equals("overlay")) {
      RootPlan.layers(OverlayLayers.of(field, options.data()), sources, purpose);
    } else if (!SOURCELESS.contains(mount.type()) && mount.source().startsWith("/")) {
      sources.add(purpose, Source.Kind.DEVICE, mount.source());
    }
  }

  static List<Mount> plan(PlanContext context) throws BrigException {
    List<Mount> planned = new ArrayList<>();
    List<RootfsMount> rootfs = context.in().rootfs();
    for (int i = RootPlan.index(context.in()) + 1; i < rootfs.size(); i++) {
      planned.add(mount(context, rootfsField(i), "rootfs." + i, spec(rootfs.get(i)), -1));
    }
    List<MountSpec> mounts = context.in().spec().mounts();
    for (int i = 0; i < mounts.size(); i++) {
      planned.add(mount(context, field(i), "mount." + i, mounts.get(i), i));
    }
    return planned;
  }

  private static Mount mount(
      PlanContext context, String field, String purpose, MountSpec spec, int index)
      throws BrigException {
    MountOptions options = MountOptions.parse(field, spec.options());
    String destination = destination(field, spec);
    Mount.Builder mount =
        Mount.newBuilder()
            .setDestination(destination)
            .setAttrSet(options.set())
            .setAttrClear(options.clear())
            .setAttrSetRecursive(options.setRecursive())
            .setAttrClearRecursive(options.clearRecursive())
            .setPropagation(propagation(context, field, options))
            .setTmpcopyup(options.tmpcopyup())
            .setDestinationNofollow(NEVER_LINKS.contains(destination))
            .setSpecIndex(index);
    if (options.tmpcopyup() && !spec.type().equals("tmpfs")) {
      throw Refusal.invalid(field, "tmpcopyup is for tmpfs only", "");
    }
    if (isBind(spec, options)) {
      bind(context, field, purpose, spec, options, mount);
      return mount.build();
    }
    if (!spec.uidMappings().isEmpty() || options.idmap() != MountOptions.IdmapAsked.NO) {
      throw Refusal.notEnforced(
          field, "id maps are for bind mounts; " + spec.type() + " has the container's ids", "");
    }
    ProcPlaces.checkFresh(field, destination, spec.type());
    switch (spec.type()) {
      case "cgroup", "cgroup2" ->
          mount.setCgroupView(CgroupView.newBuilder().setReadOnly(options.readOnly()));
      case "overlay" -> {
        OverlayLayers layers = OverlayLayers.of(field, options.data());
        mount.setOverlay(
            RootPlan.overlay(
                context, field, purpose, layers, layers.options(), !context.user().brought()));
      }
      case "" -> throw Refusal.invalid(field + ".type", "is missing", "");
      default -> fresh(context, field, purpose, spec, options, mount);
    }
    return mount.build();
  }

  private static void bind(
      PlanContext context,
      String field,
      String purpose,
      MountSpec spec,
      MountOptions options,
      Mount.Builder mount)
      throws BrigException {
    if (!options.data().isEmpty()) {
      throw Refusal.invalid(
          field + ".options", "\"" + options.data().getFirst() + "\" is no option of a bind", "");
    }
    if (!options.superblock().isEmpty()) {
      context.note(
          "mount "
              + spec.destination()
              + ": "
              + options.superblock()
              + " says nothing about a bind mount and has no effect, as everywhere");
    }
    SourceReport report = context.reports().require(purpose, field + ".source");
    ProcPlaces.checkBind(field, mount.getDestination(), report);
    mount.setBind(
        Bind.newBuilder().setHandle(report.getHandle()).setRecursive(options.recursive()));
    Idmapping.apply(context, field, spec, options, report, mount);
  }

  private static void fresh(
      PlanContext context,
      String field,
      String purpose,
      MountSpec spec,
      MountOptions options,
      Mount.Builder mount)
      throws BrigException {
    Fresh.Builder fresh =
        Fresh.newBuilder()
            .setFsType(spec.type())
            .setSourceName(spec.source())
            .addAllOptions(options.superblock());
    context
        .reports()
        .find(purpose, field + ".source")
        .ifPresent(report -> fresh.setHandle(report.getHandle()));
    for (String option : options.data()) {
      fresh.addOptions(data(context, field, spec, option));
    }
    mount.setFresh(fresh);
  }

  /** Ids in the options of tmpfs and devpts are the container's; the kernel wants the host's. */
  private static String data(PlanContext context, String field, MountSpec spec, String option)
      throws BrigException {
    boolean ownIds = spec.type().equals("tmpfs") || spec.type().equals("devpts");
    if (!ownIds || !(option.startsWith("uid=") || option.startsWith("gid="))) {
      return option;
    }
    String id = option.substring(4);
    if (!id.matches("[0-9]{1,10}")) {
      throw Refusal.invalid(field + ".options", "\"" + option + "\" has no number", "");
    }
    int host =
        option.startsWith("uid=")
            ? context.hostUid(field, Long.parseLong(id))
            : context.hostGid(field, Long.parseLong(id));
    return option.substring(0, 4) + Integer.toUnsignedString(host);
  }

  private static int propagation(PlanContext context, String field, MountOptions options) {
    if ((options.propagation() & ~MS_REC) == MS_SHARED) {
      context.note(
          field
              + ": mounts made in the container can't propagate out of its user namespace; shared"
              + " works towards the container only");
    }
    return options.propagation();
  }

  static boolean isBind(MountSpec mount, MountOptions options) {
    return options.bind() || mount.type().equals("bind");
  }

  /** Absolute, without {@code .} and {@code ..}; relative ones count from the root, as in runc. */
  private static String destination(String field, MountSpec spec) throws BrigException {
    String path = InsidePath.normal(spec.destination());
    if (path.equals("/")) {
      throw Refusal.invalid(field + ".destination", "is the root itself", "");
    }
    return path;
  }

  private static MountSpec spec(RootfsMount mount) {
    return new MountSpec(
        mount.target(), mount.type(), mount.source(), mount.options(), List.of(), List.of());
  }

  private static String field(int index) {
    return "mounts[" + index + "]";
  }

  private static String rootfsField(int index) {
    return "rootfs[" + index + "]";
  }
}
