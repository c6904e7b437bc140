package brig.shim.task;

import brig.proto.keeper.AfterExec;
import brig.proto.plan.Capabilities;
import brig.proto.plan.Process;
import brig.proto.state.ReadBack;
import brig.sandbox.BrigException;
import brig.shim.task.ReadBackCheck.Mismatches;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Compares what the kernel says of a process right after its execve with what the plan decided.
 *
 * <p>Execve changes capability sets by rule (capabilities(7)), takes a security label, and by then
 * what could only be applied after the barrier is in force. The program may run already and may
 * have given up or ended anything, but nothing that it can do by itself leads beyond the sets that
 * are computed here: so each set must lie within its bound, and what can't be undone must be there.
 */
final class AfterExecCheck {
  /** SECCOMP_MODE_DEAD (kernel/seccomp.c): a filter has killed the process. */
  private static final String KILLED_BY_FILTER = "3";

  private AfterExecCheck() {}

  /**
   * @param userNamespace that the process stood in at its barrier, as the kernel names it
   */
  static void compare(String id, AfterExec after, Process process, String userNamespace)
      throws BrigException {
    Map<String, String> status = ReadBackCheck.fields(after.getStatus());
    Mismatches found = new Mismatches(status);
    // In a user namespace that the program has made meanwhile it has every capability, over
    // nothing.
    if (process.hasCapabilities() && after.getUserNamespace().equals(userNamespace)) {
      capabilities(found, status, process);
    }
    if (process.getNoNewPrivileges()) {
      found.field("NoNewPrivs", "1");
    }
    if (process.getSeccompCount() > 0
        && !status.getOrDefault("Seccomp", "").equals(KILLED_BY_FILTER)) {
      found.field("Seccomp", "2");
    }
    label(found, after.getLabel(), process);
    found.refuseAny(id);
  }

  private static void capabilities(Mismatches found, Map<String, String> status, Process process) {
    Capabilities plan = process.getCapabilities();
    // With no_new_privs a program gains none; without it, at most what the bounding set leaves.
    long most =
        plan.getPermitted()
            | plan.getAmbient()
            | (process.getNoNewPrivileges() ? 0 : plan.getBounding() | plan.getInheritable());
    within(found, status, "CapBnd", plan.getBounding());
    within(found, status, "CapPrm", most);
    within(found, status, "CapEff", most);
    within(found, status, "CapAmb", most);
    within(found, status, "CapInh", most | plan.getInheritable() | plan.getBounding());
  }

  private static void within(Mismatches found, Map<String, String> status, String name, long most) {
    String has = status.getOrDefault(name, "");
    if (!has.matches("[0-9a-f]{16}")) {
      found.add(name + " is not told after execve");
    } else if ((Long.parseUnsignedLong(has, 16) & ~most) != 0) {
      found.add(name + " is " + has + " after execve, beyond " + String.format("%016x", most));
    }
  }

  /** One security module's label; with two of them the kernel's one file can't tell both. */
  private static void label(Mismatches found, String has, Process process) {
    List<String> wanted =
        List.of(process.getApparmorProfile(), process.getSelinuxLabel()).stream()
            .filter(label -> !label.isEmpty())
            .toList();
    if (wanted.size() != 1) {
      return;
    }
    // AppArmor adds the profile's mode: "name (enforce)".
    String name = has.replaceFirst(" \\([a-z]+\\)$", "");
    if (!name.equals(wanted.getFirst())) {
      found.add(
          "the label is " + (has.isEmpty() ? "not told" : has) + ", not " + wanted.getFirst());
    }
  }

  /** What of it is kept for {@code brig explain}. */
  static ContainerState keep(ContainerState state, Optional<AfterExec> after) {
    if (after.isEmpty()) {
      return state;
    }
    ReadBack readBack = state.facts().readBack();
    boolean same =
        after.get().getUserNamespace().equals(readBack.getNamespacesOrDefault("user", ""));
    return state.with(
        readBack.toBuilder()
            .setAfterExecStatus(same ? ReadBackCheck.kept(after.get().getStatus()) : "")
            .setLabel(after.get().getLabel())
            .build());
  }
}
