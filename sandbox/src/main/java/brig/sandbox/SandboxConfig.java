package brig.sandbox;

import java.net.InetSocketAddress;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The operator's configuration, as brig.toml says it.
 *
 * @param paths where things lie
 * @param ids id ranges for user namespaces
 * @param cgroupParent parent of the cgroup of containers whose spec names none, relative to each
 *     hierarchy; {@code <parent>/<containerd namespace>/<id>}
 * @param metrics where the daemon's metrics can be read
 * @param classes by runtime class name; a class without an entry gets {@link ClassConfig#DEFAULT}
 */
public record SandboxConfig(
    Paths paths, Ids ids, String cgroupParent, Metrics metrics, Map<String, ClassConfig> classes) {
  public static final SandboxConfig DEFAULT =
      new SandboxConfig(Paths.DEFAULT, Ids.DEFAULT, "/brig", Metrics.DEFAULT, Map.of());

  public SandboxConfig {
    classes = Map.copyOf(classes);
  }

  /** The same with other locations. */
  public SandboxConfig with(Paths others) {
    return new SandboxConfig(others, ids, cgroupParent, metrics, classes);
  }

  /** The same with other ids. */
  public SandboxConfig with(Ids others) {
    return new SandboxConfig(paths, others, cgroupParent, metrics, classes);
  }

  /** The same with its metrics elsewhere. */
  public SandboxConfig with(Metrics others) {
    return new SandboxConfig(paths, ids, cgroupParent, others, classes);
  }

  /** The same with other runtime classes. */
  public SandboxConfig with(Map<String, ClassConfig> others) {
    return new SandboxConfig(paths, ids, cgroupParent, metrics, others);
  }

  /** The configuration of a runtime class. */
  public ClassConfig classConfig(String className) {
    return classes.getOrDefault(className, ClassConfig.DEFAULT);
  }

  /**
   * Locations, all absolute.
   *
   * @param run sockets, pods' state, id-range table; does not survive a reboot
   * @param var room for caches and an audit log; nothing is written there yet
   * @param floor one {@code <class>.floor} per runtime class
   */
  public record Paths(String run, String var, String floor) {
    public static final Paths DEFAULT = new Paths("/run/brig", "/var/lib/brig", "/etc/brig/floor");
  }

  /**
   * @param poolStart first host id of the pool
   * @param poolSize number of host ids in the pool
   * @param idsPerPod ids that each pod gets
   * @param extraIds single container ids beyond {@code idsPerPod} that every pod gets as well
   * @param allowHostIds whether a spec may map ids onto host ids outside the pool below 65536
   */
  public record Ids(
      long poolStart, long poolSize, long idsPerPod, Set<Long> extraIds, boolean allowHostIds) {
    /** The host's own users and services have ids below this. */
    public static final long HOST_IDS = 65536;

    /**
     * The pool lies in the part of the ids that systemd leaves unused (its UIDS-GIDS.md), below
     * those that don't fit a signed number: room for 4094 pods.
     */
    public static final Ids DEFAULT = new Ids(0x7000_0000L, 0x0ffe_0000L, 65536, Set.of(), false);

    public Ids {
      extraIds = Set.copyOf(extraIds);
    }

    /** How many host ids a pod takes. */
    public long perPod() {
      return idsPerPod + extraIds.size();
    }
  }

  /**
   * @param socket of a unix socket; {@code metrics.sock} in the run directory if empty
   * @param listen address of the loopback device and a port, for TCP as well
   */
  public record Metrics(Optional<String> socket, Optional<InetSocketAddress> listen) {
    public static final Metrics DEFAULT = new Metrics(Optional.empty(), Optional.empty());
  }

  /** What to do with a root or volume on a file system that can't be idmapped. */
  public enum Unmappable {
    /** An error that names mount and remedy. */
    REFUSE,
    /** Copy small configuration-like content into a tmpfs. */
    COPY,
    /** Mount it as it is: its owners show as the overflow id unless they lie in the range. */
    UNSHIFTED
  }

  /** Which protocol the class's shim serves to containerd. */
  public enum Api {
    TTRPC,
    GRPC
  }

  /** Whether a program may gain privileges by execve: setuid and setgid bits, file capabilities. */
  public enum NewPrivileges {
    NEVER,
    /**
     * Where the spec doesn't set noNewPrivileges; within the container's own ids and bounding set.
     */
    ASKED
  }

  /**
   * @param grpcAcceptLoss the operator knows that gRPC connections die with the daemon
   */
  public record ClassConfig(
      Unmappable unmappable, Api api, boolean grpcAcceptLoss, NewPrivileges newPrivileges) {
    public static final ClassConfig DEFAULT =
        new ClassConfig(Unmappable.REFUSE, Api.TTRPC, false, NewPrivileges.NEVER);

    public ClassConfig withUnmappable(Unmappable other) {
      return new ClassConfig(other, api, grpcAcceptLoss, newPrivileges);
    }

    public ClassConfig withNewPrivileges(NewPrivileges other) {
      return new ClassConfig(unmappable, api, grpcAcceptLoss, other);
    }
  }
}
