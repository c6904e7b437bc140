package brig.sandbox.plan;

import brig.proto.keeper.SourceReport;
import brig.proto.plan.Copy;
import brig.proto.plan.IdMapping;
import brig.proto.plan.Mount;
import brig.sandbox.BrigException;
import brig.sandbox.spec.MountSpec;

/**
 * How a bind mount's ids become the container's: as the spec says where it brought the user
 * namespace, and by the container's own maps where Brig made it.
 */
final class Idmapping {
  private static final int S_IFMT = 0170000;
  private static final int S_IFCHR = 0020000;
  private static final int S_IFBLK = 0060000;
  private static final int S_IFDIR = 0040000;
  private static final int WORLD_STICKY = 01777;

  /** Largest content that the policy {@code copy} takes. */
  private static final int COPY_MAX_BYTES = 1 << 20;

  private static final IdMapping CONTAINER =
      IdMapping.newBuilder().setMode(IdMapping.Mode.CONTAINER).build();

  private Idmapping() {}

  /** Sets the mapping of a bind mount, or replaces it by a copy. */
  static void apply(
      PlanContext context,
      String field,
      MountSpec spec,
      MountOptions options,
      SourceReport report,
      Mount.Builder mount)
      throws BrigException {
    if (!spec.uidMappings().isEmpty()) {
      mount.setIdmap(
          IdMapping.newBuilder()
              .setMode(IdMapping.Mode.OWN)
              .setRecursive(options.idmap() == MountOptions.IdmapAsked.RECURSIVE)
              .addAllUidMaps(IdMaps.maps(spec.uidMappings()))
              .addAllGidMaps(IdMaps.maps(spec.gidMappings())));
      return;
    }
    if (options.idmap() != MountOptions.IdmapAsked.NO) {
      mount.setIdmap(
          CONTAINER.toBuilder().setRecursive(options.idmap() == MountOptions.IdmapAsked.RECURSIVE));
      return;
    }
    if (context.user().brought()) {
      return;
    }
    if (report.getCanIdmap()) {
      boolean tree = options.recursive() && report.getHasMountsBelow();
      mount.setIdmap(CONTAINER.toBuilder().setRecursive(tree && report.getCanIdmapTree()));
      if (tree && !report.getCanIdmapTree()) {
        context.note(
            "mount "
                + spec.destination()
                + ": not every mount below "
                + report.getCanonicalPath()
                + " can be idmapped; they keep the host's ids, which show as nobody inside");
      }
      return;
    }
    if (idsDoNotMatter(report)) {
      context.note(
          "mount "
              + spec.destination()
              + ": "
              + report.getCanonicalPath()
              + " can't be idmapped and keeps the host's ids; its permissions don't depend on them");
      return;
    }
    switch (context.unmappable()) {
      case REFUSE -> throw unmappable(field, report);
      case UNSHIFTED ->
          context.note(
              "mount "
                  + spec.destination()
                  + ": "
                  + report.getCanonicalPath()
                  + " can't be idmapped and keeps the host's ids, which show as nobody inside");
      case COPY -> {
        mount.setCopy(Copy.newBuilder().setHandle(report.getHandle()).setMaxBytes(COPY_MAX_BYTES));
        context.note(
            "mount "
                + spec.destination()
                + ": "
                + report.getCanonicalPath()
                + " can't be idmapped; the container has a copy as of its start");
      }
    }
  }

  static BrigException unmappable(String field, SourceReport report) {
    return unmappable(
        field,
        report,
        "set unmappable = \"copy\" or \"unshifted\" for the runtime class in brig.toml");
  }

  /** A root or a layer of it, of which no small copy would do. */
  static BrigException unmappableRoot(String field, SourceReport report) {
    return unmappable(
        field,
        report,
        "set unmappable = \"unshifted\" for the runtime class in brig.toml (\"copy\" is for small"
            + " mounts, not for roots)");
  }

  private static BrigException unmappable(String field, SourceReport report, String otherwise) {
    return Refusal.host(
        field,
        report.getCanonicalPath()
            + (report.getFsType().isEmpty() ? "" : " (" + report.getFsType() + ")")
            + " can't be idmapped, so its owners can't be shown to a container with ids of its own",
        "put it on a file system that can (ext4, xfs, btrfs, tmpfs from Linux 6.3), or "
            + otherwise);
  }

  /** Device nodes, the kernel's own file systems, and directories that anybody may use. */
  private static boolean idsDoNotMatter(SourceReport report) {
    int type = report.getMode() & S_IFMT;
    boolean device = type == S_IFCHR || type == S_IFBLK;
    boolean sharedDirectory = type == S_IFDIR && (report.getMode() & WORLD_STICKY) == WORLD_STICKY;
    return device || sharedDirectory || KernelFileSystems.contains(report.getFsMagic());
  }
}
