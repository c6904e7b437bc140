package brig.sandbox.plan;

import brig.proto.plan.CreatePlan;
import brig.proto.plan.Namespace;
import brig.proto.plan.Sysctl;
import brig.sandbox.BrigException;
import brig.sandbox.spec.NamespaceType;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Kernel parameters of the container's own namespaces. The container that owns a network namespace
 * also opens ping in it, and the low ports where others made it, since a user namespace takes away
 * what container root would otherwise have. In a network that is made within the container's user
 * namespace, its root has the low ports by its capability, and its other users don't.
 */
final class SysctlPlan {
  private static final String CONTAINER_TYPE = "io.kubernetes.cri.container-type";

  private static final Sysctl LOW_PORTS = own("net/ipv4/ip_unprivileged_port_start", "0");

  private static final Sysctl PING = own("net/ipv4/ping_group_range", "0 2147483647");

  /** Parameters of ipc namespaces (ipc_namespaces(7)). */
  private static final Set<String> IPC =
      Set.of(
          "kernel/msgmax",
          "kernel/msgmnb",
          "kernel/msgmni",
          "kernel/sem",
          "kernel/shmall",
          "kernel/shmmax",
          "kernel/shmmni",
          "kernel/shm_rmid_forced");

  private SysctlPlan() {}

  static void plan(
      PlanContext context, Map<NamespaceType, NamespacePlan.Mode> modes, CreatePlan.Builder plan)
      throws BrigException {
    Map<String, Sysctl> all = new LinkedHashMap<>();
    forContainerRoot(context, modes).forEach(sysctl -> all.put(sysctl.getPath(), sysctl));
    for (Map.Entry<String, String> asked : context.linux().sysctl().entrySet()) {
      Sysctl sysctl = sysctl(asked.getKey(), asked.getValue(), modes);
      all.put(sysctl.getPath(), sysctl);
    }
    plan.addAllSysctls(all.values());
  }

  private static Sysctl own(String path, String value) {
    return Sysctl.newBuilder()
        .setPath(path)
        .setValue(value)
        .setNamespace(Namespace.Kind.NETWORK)
        .setIgnoreMissing(true)
        .build();
  }

  private static List<Sysctl> forContainerRoot(
      PlanContext context, Map<NamespaceType, NamespacePlan.Mode> modes) {
    NamespacePlan.Mode mode = modes.getOrDefault(NamespaceType.NETWORK, NamespacePlan.Mode.HOST);
    String type = context.in().spec().annotations().getOrDefault(CONTAINER_TYPE, "");
    return switch (mode) {
      case NEW -> List.of(PING);
      // CRI has made the network for the pod's first container; the others find it as it is.
      case JOINED -> type.equals("sandbox") ? List.of(LOW_PORTS, PING) : List.of();
      case HOST -> List.of();
    };
  }

  private static Sysctl sysctl(
      String key, String value, Map<NamespaceType, NamespacePlan.Mode> modes) throws BrigException {
    String field = "linux.sysctl." + key;
    String path = path(field, key);
    NamespaceType namespace;
    if (path.startsWith("net/")) {
      namespace = NamespaceType.NETWORK;
    } else if (IPC.contains(path) || path.startsWith("fs/mqueue/")) {
      namespace = NamespaceType.IPC;
    } else if (path.equals("kernel/domainname")) {
      namespace = NamespaceType.UTS;
    } else if (path.equals("kernel/hostname")) {
      throw Refusal.invalid(field, "is set by the field hostname", "use hostname");
    } else {
      throw Refusal.invalid(field, "belongs to the whole host, not to a namespace", "");
    }
    if (modes.get(namespace) == NamespacePlan.Mode.HOST) {
      throw Refusal.invalid(
          field, "would be set in the host's " + namespace.specName() + " namespace", "");
    }
    return Sysctl.newBuilder()
        .setPath(path)
        .setValue(value)
        .setNamespace(NamespacePlan.kind(namespace))
        .build();
  }

  /**
   * As sysctl(8): where the first separator is a dot, dots separate and slashes stand for dots in
   * names; otherwise the other way round.
   */
  private static String path(String field, String key) throws BrigException {
    int dot = key.indexOf('.');
    int slash = key.indexOf('/');
    String path = key;
    if (dot >= 0 && (slash < 0 || dot < slash)) {
      path = key.replace('.', '\0').replace('/', '.').replace('\0', '/');
    }
    for (String part : path.split("/", -1)) {
      if (part.isEmpty() || part.equals(".") || part.equals("..")) {
        throw Refusal.invalid(field, "is not the name of a kernel parameter", "");
      }
    }
    return path;
  }
}
