package brig.shim.task;

import brig.proto.keeper.Executed;
import brig.proto.keeper.LandlockProbe;
import brig.proto.keeper.LandlockProbe.Trial;
import brig.proto.plan.Capabilities;
import brig.proto.plan.IdMap;
import brig.proto.plan.Process;
import brig.proto.state.ReadBack;
import brig.proto.state.StoredLandlock;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Compares what the kernel said of a process before its program began with what the plan decided. A
 * mismatch is a refusal: the process must not run.
 */
final class ReadBackCheck {
  private static final Set<String> KEPT =
      Set.of(
          "Uid",
          "Gid",
          "Groups",
          "CapInh",
          "CapPrm",
          "CapEff",
          "CapBnd",
          "CapAmb",
          "NoNewPrivs",
          "Seccomp",
          "Seccomp_filters");

  /** errno of a refusal, as {@code <errno.h>} numbers it. */
  private static final int EPERM = 1;

  private ReadBackCheck() {}

  /**
   * @param uidMaps of the user namespace that the process shall be in; empty: not to be compared
   */
  static void compare(
      String id, Executed executed, Process process, List<IdMap> uidMaps, List<IdMap> gidMaps)
      throws BrigException {
    Map<String, String> status = fields(executed.getStatus());
    Mismatches found = new Mismatches(status);
    if (process.hasCapabilities()) {
      Capabilities wanted = process.getCapabilities();
      found.capability("CapBnd", wanted.getBounding());
      found.capability("CapEff", wanted.getEffective());
      found.capability("CapPrm", wanted.getPermitted());
      found.capability("CapInh", wanted.getInheritable());
      found.capability("CapAmb", wanted.getAmbient());
    }
    if (process.getNoNewPrivileges()) {
      found.field("NoNewPrivs", "1");
    }
    if (process.getSeccompCount() > 0 && !executed.getAfterBarrierList().contains("seccomp")) {
      found.field("Seccomp", "2");
    }
    found.map("uid_map", executed.getUidMap(), uidMaps);
    found.map("gid_map", executed.getGidMap(), gidMaps);
    found.domain(executed.getLandlock());
    found.refuseAny(id);
  }

  /** The lines of a status that are kept for {@code brig explain}. */
  static String kept(String status) {
    StringBuilder kept = new StringBuilder();
    fields(status)
        .forEach((name, value) -> {
          if (KEPT.contains(name)) {
            kept.append(name).append(": ").append(value).append('\n');
          }
        });
    return kept.toString();
  }

  private static StoredLandlock kept(LandlockProbe probe) {
    StoredLandlock.Builder stored = StoredLandlock.newBuilder().setAbi(probe.getAbi());
    for (Trial trial : probe.getTrialsList()) {
      if (trial.getBefore() == 0 && trial.getWithin() == EPERM) {
        stored.addRefused(trial.getAccess());
      } else {
        stored.addUnproven(trial.getAccess());
      }
    }
    return stored.build();
  }

  /** What of it is kept for {@code brig explain}. */
  static ReadBack keep(Executed executed) {
    return ReadBack.newBuilder()
        .setUidMap(executed.getUidMap())
        .setGidMap(executed.getGidMap())
        .setStatus(kept(executed.getStatus()))
        .putAllNamespaces(executed.getNamespacesMap())
        .setMountOrder(executed.getMountOrder())
        .addAllSkipped(executed.getSkippedList())
        .setLandlock(kept(executed.getLandlock()))
        .build();
  }

  /** Lines of {@code /proc/<pid>/status}. */
  static Map<String, String> fields(String status) {
    Map<String, String> fields = new LinkedHashMap<>();
    status
        .lines()
        .forEach(line -> {
          int colon = line.indexOf(':');
          if (colon > 0) {
            fields.put(line.substring(0, colon), line.substring(colon + 1).strip());
          }
        });
    return fields;
  }

  /** The form of {@code /proc/<pid>/uid_map}, with single spaces. */
  static List<String> lines(List<IdMap> maps) {
    return maps.stream()
        .map(map ->
            Integer.toUnsignedString(map.getContainerId())
                + " "
                + Integer.toUnsignedString(map.getHostId())
                + " "
                + Integer.toUnsignedString(map.getSize()))
        .toList();
  }

  /** What was found, to be told together. */
  static final class Mismatches {
    private final Map<String, String> status;
    private final List<String> texts = new ArrayList<>();

    Mismatches(Map<String, String> status) {
      this.status = status;
    }

    void capability(String name, long wanted) {
      field(name, String.format("%016x", wanted));
    }

    void field(String name, String wanted) {
      String has = status.getOrDefault(name, "");
      if (!has.equals(wanted)) {
        texts.add(name + " is " + (has.isEmpty() ? "not told" : has) + ", not " + wanted);
      }
    }

    void add(String text) {
      texts.add(text);
    }

    void refuseAny(String id) throws BrigException {
      if (!texts.isEmpty()) {
        throw new BrigException(
            Kind.INTERNAL,
            "read back",
            id,
            "the kernel has not what the plan decided: " + String.join(", ", texts),
            "report this");
      }
    }

    /** No kernel that has scopes lets anything out of the pod. */
    void domain(LandlockProbe probe) {
      if (!probe.getFailed().isEmpty()) {
        texts.add("the Landlock domain could not be taken: " + probe.getFailed());
      }
      for (Trial trial : probe.getTrialsList()) {
        if (trial.getWithin() == 0) {
          texts.add("Landlock allows: " + trial.getAccess() + " outside of the pod");
        }
      }
    }

    void map(String name, String has, List<IdMap> wanted) {
      if (wanted.isEmpty()) {
        return;
      }
      List<String> lines =
          has.lines().map(line -> line.strip().replaceAll("\\s+", " ")).sorted().toList();
      if (!lines.equals(lines(wanted).stream().sorted().toList())) {
        texts.add(name + " is " + lines + ", not " + lines(wanted));
      }
    }
  }
}
