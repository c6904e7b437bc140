package brig.sandbox.plan;

import brig.proto.keeper.SourceReport;
import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.LinuxSpec;
import brig.sandbox.spec.NamespaceSpec;
import brig.sandbox.spec.NamespaceType;
import java.util.List;
import java.util.Optional;

/**
 * Which user namespace a container gets. Every container has one: its spec's, its pod's, or one of
 * its own with a range of ids that no other pod has.
 *
 * @param joinHandle the handle of one to join; 0: a new one is made
 * @param maps its id maps
 * @param brought whether the spec brought it: then it also says which mounts are idmapped,
 *     otherwise Brig idmaps roots and volumes so that ids on disk stay as they are
 */
record UserNamespace(int joinHandle, IdMaps maps, boolean brought) {
  static final String SOURCE = "ns.user";

  /** The namespace that must be opened to join it; empty: a new one is made. */
  static Optional<String> pathToJoin(CreateInput in) {
    Optional<NamespaceSpec> asked = in.spec().linux().namespace(NamespaceType.USER);
    if (asked.isPresent()) {
      return asked.map(NamespaceSpec::path).filter(path -> !path.isEmpty());
    }
    return in.podInit().map(pod -> "/proc/" + pod.initPid() + "/ns/user");
  }

  /** Whether the spec brings the namespace or its maps. */
  static boolean isBrought(CreateInput in) {
    return in.spec()
        .linux()
        .namespace(NamespaceType.USER)
        .map(asked -> !asked.path().isEmpty() || !in.spec().linux().uidMappings().isEmpty())
        .orElse(false);
  }

  static UserNamespace decide(
      CreateInput in, SandboxConfig config, Reports reports, List<String> notes)
      throws BrigException {
    LinuxSpec linux = in.spec().linux();
    Optional<NamespaceSpec> asked = linux.namespace(NamespaceType.USER);
    IdMaps spec = IdMaps.ofSpec(linux.uidMappings(), linux.gidMappings());
    if (pathToJoin(in).isPresent()) {
      SourceReport report = reports.require(SOURCE, "linux.namespaces[user].path");
      if (report.getOwnNamespace()) {
        throw Refusal.invalid(
            "linux.namespaces[user].path",
            report.getCanonicalPath() + " is the host's user namespace",
            "leave the entry out, and the container gets one of its own");
      }
      IdMaps maps = joined(report);
      if (asked.isPresent() && !spec.uids().isEmpty() && !spec.equals(maps)) {
        throw Refusal.invalid(
            "linux.uidMappings",
            "is not the map of the user namespace that is joined",
            "give the same maps, or none");
      }
      checkHostIds(maps, config);
      return new UserNamespace(report.getHandle(), maps, isBrought(in));
    }
    if (!spec.uids().isEmpty()) {
      checkHostIds(spec, config);
      return new UserNamespace(0, spec, isBrought(in));
    }
    if (asked.isEmpty()) {
      notes.add(
          "user namespace: the spec asks for none; the pod has host ids "
              + in.idRange().firstHostId()
              + " to "
              + (in.idRange().firstHostId() + in.idRange().size() - 1));
    }
    return new UserNamespace(0, IdMaps.ofRange(in.idRange(), config.ids()), isBrought(in));
  }

  private static IdMaps joined(SourceReport report) throws BrigException {
    try {
      return new IdMaps(IdMaps.parse(report.getUidMap()), IdMaps.parse(report.getGidMap()));
    } catch (IllegalArgumentException e) {
      throw Refusal.invalid(
          "linux.namespaces[user].path",
          report.getCanonicalPath() + " has an unreadable id map: " + e.getMessage(),
          "");
    }
  }

  /** Ids below 65536 are the host's own people and services. */
  private static void checkHostIds(IdMaps maps, SandboxConfig config) throws BrigException {
    if (config.ids().allowHostIds()) {
      return;
    }
    checkHostIds("linux.uidMappings", maps.uids());
    checkHostIds("linux.gidMappings", maps.gids());
  }

  private static void checkHostIds(String field, List<IdMap> maps) throws BrigException {
    if (maps.isEmpty()) {
      throw Refusal.invalid(field, "maps no id", "");
    }
    for (IdMap map : maps) {
      long host = Integer.toUnsignedLong(map.getHostId());
      if (host < SandboxConfig.Ids.HOST_IDS) {
        throw Refusal.host(
            field,
            "maps container id "
                + Integer.toUnsignedLong(map.getContainerId())
                + " to the host's own id "
                + host,
            "map to ids from "
                + SandboxConfig.Ids.HOST_IDS
                + " on, or set allow_host_ids in [ids] of brig.toml");
      }
    }
  }
}
