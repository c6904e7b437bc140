package brig.sandbox.plan;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.Bind;
import brig.proto.plan.Fresh;
import brig.proto.plan.Loop;
import brig.proto.plan.Overlay;
import brig.proto.plan.Root;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig.Unmappable;
import brig.sandbox.spec.Propagation;
import brig.sandbox.spec.RootSpec;
import brig.sandbox.spec.Spec;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * The root file system: what containerd's mounts or the spec's path become. Under a user namespace
 * of Brig's own the root is idmapped, so that ids on disk stay as the image has them.
 */
final class RootPlan {
  private static final String FIELD = "rootfs";
  private static final String PATH_FIELD = "root.path";
  private static final String DIRECT_IO = "direct-io";

  private RootPlan() {}

  /** Asks for what the root consists of. */
  static void sources(CreateInput in, SourceList sources) throws BrigException {
    check(in);
    if (in.rootfs().isEmpty()) {
      sources.addWithMount("root", Source.Kind.BIND, path(in));
      return;
    }
    RootfsMount mount = in.rootfs().get(index(in));
    if (mount.type().equals("overlay")) {
      layers(OverlayLayers.of(FIELD, options(mount).data()), sources, "root");
    } else if (isBind(mount)) {
      sources.addWithMount("root", Source.Kind.BIND, mount.source());
    } else if (mount.source().startsWith("/")) {
      sources.add("root", Source.Kind.DEVICE, mount.source());
    }
    MountPlan.rootfsSources(in, sources);
  }

  static void layers(OverlayLayers layers, SourceList sources, String purpose) {
    for (int i = 0; i < layers.lower().size(); i++) {
      sources.add(purpose + ".lower." + i, Source.Kind.BIND, layers.lower().get(i));
    }
    if (layers.writable()) {
      sources.add(purpose + ".upper", Source.Kind.BIND, layers.parent());
    }
  }

  /**
   * The layers to open in a second round: where the root is a mounted overlay, which can't be
   * idmapped as a whole.
   */
  static Optional<OverlayLayers> mountedLayers(CreateInput in, Reports reports)
      throws BrigException {
    if (!in.rootfs().isEmpty()) {
      return Optional.empty();
    }
    SourceReport report = reports.require("root", PATH_FIELD);
    if (!report.getFsType().equals("overlay") || report.getCanIdmap()) {
      return Optional.empty();
    }
    return MountedOverlay.layers(PATH_FIELD, report);
  }

  static Root plan(PlanContext context, SourcePlan sources) throws BrigException {
    CreateInput in = context.in();
    Spec spec = in.spec();
    Root.Builder root =
        Root.newBuilder()
            .setReadonly(spec.root().map(RootSpec::readonly).orElse(false))
            .setPropagation(propagation(context))
            .setIdmap(!context.user().brought());
    if (sources.mountedRoot().isPresent()) {
      OverlayLayers layers = sources.mountedRoot().get();
      List<String> options = new ArrayList<>(layers.options());
      options.add("index=off");
      root.setOverlay(
          overlay(context, PATH_FIELD, "root", layers, options, root.getIdmap()).toBuilder()
              .setWorkIsShared(layers.writable()));
      context.note(
          "root: "
              + path(in)
              + " is a mounted overlay; the container has a mount of its own over the same layers");
    } else if (in.rootfs().isEmpty()) {
      SourceReport report = context.reports().require("root", PATH_FIELD);
      root.setIdmap(bindIdmap(context, PATH_FIELD, report));
      root.setBind(Bind.newBuilder().setHandle(report.getHandle()).setRecursive(true));
    } else {
      if (index(in) > 0) {
        context.note(
            "root: rootfs[" + index(in) + "] covers the mounts before it, which are not made");
      }
      fromContainerd(context, in.rootfs().get(index(in)), root);
    }
    HookPlan.show(context, root);
    return root.build();
  }

  private static void fromContainerd(PlanContext context, RootfsMount mount, Root.Builder root)
      throws BrigException {
    MountOptions options = options(mount);
    root.setReadonly(root.getReadonly() || options.readOnly());
    PseudoIdmap pseudo = PseudoIdmap.of(FIELD, options.data());
    if (pseudo.given()) {
      pseudo.check(FIELD, context.maps());
      root.setIdmap(true);
    }
    if (mount.type().equals("overlay")) {
      OverlayLayers layers = OverlayLayers.of(FIELD, pseudo.rest());
      Overlay.Builder overlay =
          overlay(context, FIELD, "root", layers, layers.options(), root.getIdmap()).toBuilder();
      // containerd has given the upper directory to the mapped root already.
      overlay.setKeepUpperIds(pseudo.given());
      root.setOverlay(overlay);
    } else if (isBind(mount)) {
      SourceReport report = context.reports().require("root", FIELD);
      if (root.getIdmap()) {
        root.setIdmap(bindIdmap(context, FIELD, report));
      }
      root.setBind(
          Bind.newBuilder().setHandle(report.getHandle()).setRecursive(options.recursive()));
    } else {
      root.setFresh(fresh(context, mount, options, pseudo.rest()));
    }
  }

  /** A file system on a block device, or on a loop device over an image. */
  private static Fresh fresh(
      PlanContext context, RootfsMount mount, MountOptions options, List<String> data)
      throws BrigException {
    Fresh.Builder fresh =
        Fresh.newBuilder()
            .setFsType(mount.type())
            .setHandle(context.reports().find("root", FIELD).map(SourceReport::getHandle).orElse(0))
            .setSourceName(mount.source())
            .addAllOptions(options.superblock());
    if (options.readOnly()) {
      // Not only the mount: a device that can't be written to has no other way.
      fresh.addOptions("ro");
    }
    if (data.contains("loop")) {
      if (fresh.getHandle() == 0) {
        throw Refusal.invalid(FIELD, "a loop device needs the absolute path of an image", "");
      }
      fresh.setLoop(
          Loop.newBuilder().setReadOnly(options.readOnly()).setDirectIo(data.contains(DIRECT_IO)));
    }
    data.stream()
        .filter(option -> !option.equals("loop") && !option.equals(DIRECT_IO))
        .forEach(fresh::addOptions);
    return fresh.build();
  }

  private static boolean bindIdmap(PlanContext context, String field, SourceReport report)
      throws BrigException {
    if (context.user().brought()) {
      return false;
    }
    if (report.getCanIdmap()) {
      return true;
    }
    if (context.unmappable() == Unmappable.UNSHIFTED) {
      context.note(
          "root: "
              + report.getCanonicalPath()
              + " can't be idmapped and keeps the host's ids, which show as nobody inside");
      return false;
    }
    throw Idmapping.unmappableRoot(field, report);
  }

  /**
   * An overlay over opened layers.
   *
   * @param idmap whether they will be idmapped, which each of them must allow
   */
  static Overlay overlay(
      PlanContext context,
      String field,
      String purpose,
      OverlayLayers layers,
      List<String> options,
      boolean idmap)
      throws BrigException {
    Overlay.Builder overlay = Overlay.newBuilder().addAllOptions(options);
    for (int i = 0; i < layers.lower().size(); i++) {
      overlay.addLower(layer(context, field, purpose + ".lower." + i, idmap));
    }
    if (layers.writable()) {
      overlay
          .setUpperParent(layer(context, field, purpose + ".upper", idmap))
          .setUpperName(OverlayLayers.name(layers.upper()))
          .setWorkName(OverlayLayers.name(layers.work()));
    }
    return overlay.build();
  }

  private static int layer(PlanContext context, String field, String purpose, boolean idmap)
      throws BrigException {
    SourceReport report = context.reports().require(purpose, field);
    if (idmap && !report.getCanIdmap()) {
      throw Idmapping.unmappableRoot(field, report);
    }
    return report.getHandle();
  }

  private static int propagation(PlanContext context) throws BrigException {
    Optional<Propagation> asked = context.linux().rootfsPropagation();
    if (asked.isEmpty()) {
      return 0;
    }
    return switch (asked.get()) {
      case PRIVATE, RPRIVATE, SLAVE, RSLAVE, UNBINDABLE, RUNBINDABLE -> asked.get().number();
      case SHARED, RSHARED -> {
        context.note(
            "root: mounts can't propagate out of a user namespace; "
                + asked.get().specName()
                + " holds inside the container only");
        yield asked.get().number();
      }
    };
  }

  private static void check(CreateInput in) throws BrigException {
    String bundleRoot = in.bundle() + "/rootfs";
    List<RootfsMount> mounts = in.rootfs();
    if (mounts.isEmpty()) {
      return;
    }
    RootfsMount root = mounts.get(index(in));
    if (!isOnRoot(root)) {
      throw Refusal.notEnforced(FIELD, "none of the mounts is the root", "");
    }
    if (in.spec().root().isPresent() && !path(in).equals(bundleRoot)) {
      throw Refusal.notEnforced(
          PATH_FIELD, "is " + path(in) + ", but containerd's mounts go to " + bundleRoot, "");
    }
    String type = root.type();
    if (type.startsWith("fuse.") || type.startsWith("fuse3.")) {
      throw Refusal.notEnforced(
          FIELD,
          "type "
              + type
              + " needs a server, which would have to be started with root's rights here",
          "have the snapshotter or another service mount it, and give the mounted directory as a bind");
    }
    if (type.contains("/")) {
      throw Refusal.notEnforced(
          FIELD, "type " + type + " is for containerd's own mount manager", "");
    }
  }

  /**
   * Which of containerd's mounts is the root: mounts are made in order, so the last one on the root
   * itself covers all before it. Those after it go beneath.
   */
  static int index(CreateInput in) {
    int last = in.rootfs().size() - 1;
    while (last > 0 && !isOnRoot(in.rootfs().get(last))) {
      last--;
    }
    return last;
  }

  private static boolean isOnRoot(RootfsMount mount) {
    return InsidePath.normal(mount.target()).equals("/");
  }

  /** The spec's path, against the bundle where it is relative. */
  static String path(CreateInput in) throws BrigException {
    RootSpec root = in.spec().root().orElseThrow(() -> Refusal.invalid("root", "is missing", ""));
    return root.path().startsWith("/") ? root.path() : in.bundle() + "/" + root.path();
  }

  private static MountOptions options(RootfsMount mount) throws BrigException {
    return MountOptions.parse(FIELD, mount.options());
  }

  private static boolean isBind(RootfsMount mount) throws BrigException {
    return mount.type().equals("bind") || options(mount).bind();
  }
}
