package brig.sandbox.plan;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.Namespace;
import brig.proto.plan.TimeOffset;
import brig.sandbox.BrigException;
import brig.sandbox.spec.NamespaceSpec;
import brig.sandbox.spec.NamespaceType;
import java.util.EnumMap;
import java.util.Map;
import java.util.Optional;

/**
 * Namespaces besides the user namespace: new, joined, or the host's own where the spec has no entry
 * or a path that is the host's.
 */
final class NamespacePlan {
  /** How a container stands to a kind of namespace. */
  enum Mode {
    NEW,
    JOINED,
    HOST
  }

  private NamespacePlan() {}

  static void sources(CreateInput in, SourceList sources) {
    UserNamespace.pathToJoin(in)
        .ifPresent(path -> sources.add(UserNamespace.SOURCE, Source.Kind.NAMESPACE, path));
    for (NamespaceSpec namespace : in.spec().linux().namespaces()) {
      if (namespace.type() != NamespaceType.USER && !namespace.path().isEmpty()) {
        sources.add(purpose(namespace.type()), Source.Kind.NAMESPACE, namespace.path());
      }
    }
  }

  static Map<NamespaceType, Mode> plan(PlanContext context, CreatePlan.Builder plan)
      throws BrigException {
    Map<NamespaceType, Mode> modes = new EnumMap<>(NamespaceType.class);
    UserNamespace user = context.user();
    plan.addNamespaces(namespace(Namespace.Kind.USER, user.joinHandle()));
    plan.addAllUidMaps(user.maps().uids()).addAllGidMaps(user.maps().gids());
    for (NamespaceType type : NamespaceType.values()) {
      if (type == NamespaceType.USER) {
        modes.put(type, user.joinHandle() == 0 ? Mode.NEW : Mode.JOINED);
        continue;
      }
      Optional<NamespaceSpec> asked = context.linux().namespace(type);
      if (asked.isEmpty()) {
        modes.put(type, Mode.HOST);
        continue;
      }
      Optional<SourceReport> joined =
          context.reports().find(purpose(type), "linux.namespaces[" + type.specName() + "].path");
      if (joined.isEmpty()) {
        modes.put(type, Mode.NEW);
        plan.addNamespaces(namespace(kind(type), 0));
      } else if (joined.get().getOwnNamespace()) {
        modes.put(type, Mode.HOST);
      } else {
        modes.put(type, Mode.JOINED);
        plan.addNamespaces(namespace(kind(type), joined.get().getHandle()));
      }
    }
    check(context, modes);
    plan.setLoopbackUp(modes.get(NamespaceType.NETWORK) == Mode.NEW);
    context
        .linux()
        .timeOffsets()
        .forEach((clock, offset) ->
            plan.addTimeOffsets(
                TimeOffset.newBuilder()
                    .setClock(clock.specName())
                    .setSecs(offset.secs())
                    .setNanosecs((int) offset.nanosecs())));
    return modes;
  }

  private static void check(PlanContext context, Map<NamespaceType, Mode> modes)
      throws BrigException {
    if (modes.get(NamespaceType.MOUNT) == Mode.JOINED) {
      throw Refusal.notEnforced(
          "linux.namespaces",
          "a joined mount namespace's mounts can't be locked against the container, and whoever"
              + " made it could change them at any time",
          "leave out the path of the mount namespace, and share files by volumes");
    }
    if (modes.get(NamespaceType.MOUNT) != Mode.NEW) {
      throw Refusal.notEnforced(
          "linux.namespaces",
          "a container without a mount namespace of its own is not supported",
          "add {\"type\": \"mount\"}");
    }
    if (!context.linux().timeOffsets().isEmpty() && modes.get(NamespaceType.TIME) != Mode.NEW) {
      throw Refusal.invalid(
          "linux.timeOffsets", "only a new time namespace can be given offsets", "");
    }
    boolean ownUser = modes.get(NamespaceType.USER) == Mode.NEW;
    if (ownUser && modes.get(NamespaceType.NETWORK) != Mode.NEW) {
      context.note(
          "network: its namespace belongs to another user namespace: raw sockets and changes of"
              + " links, addresses and routes are refused there, whatever capabilities are held");
    }
    boolean uts = modes.get(NamespaceType.UTS) == Mode.HOST;
    if (uts && !context.in().spec().hostname().isEmpty()) {
      throw Refusal.invalid("hostname", "would be set in the host's uts namespace", "");
    }
    if (uts && !context.in().spec().domainname().isEmpty()) {
      throw Refusal.invalid("domainname", "would be set in the host's uts namespace", "");
    }
  }

  private static String purpose(NamespaceType type) {
    return "ns." + type.specName();
  }

  private static Namespace namespace(Namespace.Kind kind, int handle) {
    return Namespace.newBuilder().setKind(kind).setJoinHandle(handle).build();
  }

  static Namespace.Kind kind(NamespaceType type) {
    return switch (type) {
      case PID -> Namespace.Kind.PID;
      case NETWORK -> Namespace.Kind.NETWORK;
      case MOUNT -> Namespace.Kind.MOUNT;
      case IPC -> Namespace.Kind.IPC;
      case UTS -> Namespace.Kind.UTS;
      case USER -> Namespace.Kind.USER;
      case CGROUP -> Namespace.Kind.CGROUP;
      case TIME -> Namespace.Kind.TIME;
    };
  }
}
