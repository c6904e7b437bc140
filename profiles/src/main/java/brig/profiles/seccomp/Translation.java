package brig.profiles.seccomp;

import brig.profiles.seccomp.Policy.Branch;
import brig.profiles.seccomp.Policy.Calls;
import brig.profiles.seccomp.Policy.Decision;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeMap;

/**
 * From the OCI model to answers by number, with the meaning that runc with libseccomp gives it:
 *
 * <ul>
 *   <li>a rule whose answer is the default's says nothing and is skipped;
 *   <li>a rule without conditions wins over any with conditions, and the first such rule counts;
 *   <li>conditions of one rule must all hold, unless two of them are about the same argument: then
 *       any one suffices;
 *   <li>where several conditional rules hold, the strictest answer counts;
 *   <li>where the default is not permissive, calls newer than any that the profile names get
 *       ENOSYS, so that programs fall back to what the profile's author knew;
 *   <li>on i386 a rule for a socket or System V IPC call also stands for its number in {@code
 *       socketcall} or {@code ipc}. Arguments lie behind a pointer there: a conditional rule that
 *       permits is left out, one that forbids holds for all arguments (libseccomp compares the
 *       wrong words).
 * </ul>
 */
final class Translation {
  private static final int EPERM = 1;
  private static final int ENOSYS = 38;

  /** Arm's private calls lie here; they say nothing about how new a profile is. */
  static final int ARM_PRIVATE = 0x0f0000;

  private final SeccompProfile profile;
  private final Machine machine;
  private final int byDefault;

  /** Made so far; each takes instructions, of which a program has at most so many. */
  private int conditionalAnswers;

  private final Set<String> notes = new LinkedHashSet<>();

  private Translation(SeccompProfile profile, Machine machine) {
    this.profile = profile;
    this.machine = machine;
    this.byDefault = answer(profile.defaultAction(), profile.defaultErrno());
  }

  /** A policy, and what of the profile means nothing on this machine. */
  record Translated(Policy policy, List<String> notes) {}

  static Translated translate(SeccompProfile profile, Machine machine) throws SeccompException {
    return new Translation(profile, machine).translate();
  }

  private Translated translate() throws SeccompException {
    check();
    Set<Architecture> wanted = EnumSet.of(machine.primary());
    for (Architecture architecture : profile.architectures()) {
      // No process can ever make a call of an architecture that the machine's kernel doesn't run.
      if (machine.natives().contains(architecture)) {
        wanted.add(architecture);
      }
    }
    List<Calls> all = new ArrayList<>();
    for (Architecture architecture : machine.natives()) {
      if (wanted.contains(architecture)) {
        all.add(calls(architecture));
      }
    }
    return new Translated(new Policy(all, Action.KILL_PROCESS.number()), List.copyOf(notes));
  }

  private void check() throws SeccompException {
    if (profile.defaultAction() == Action.NOTIFY) {
      throw new SeccompException(
          "defaultAction", "SCMP_ACT_NOTIFY can't be the default: the agent could never be told");
    }
    SyscallTable table = SyscallTable.get();
    for (SyscallRule rule : profile.syscalls()) {
      for (String name : rule.names()) {
        if (rule.action() == Action.NOTIFY && profile.listenerPath().isEmpty()) {
          throw new SeccompException(name, "SCMP_ACT_NOTIFY needs a listenerPath");
        }
        if (rule.action() == Action.NOTIFY && name.equals("write")) {
          throw new SeccompException(
              name, "can't be SCMP_ACT_NOTIFY: the listener couldn't be handed over");
        }
        if (table.knows(name)) {
          continue;
        }
        if (strictness(rule.action()) < strictness(profile.defaultAction())) {
          throw new SeccompException(
              name, "is no system call that Brig knows, so it can't be forbidden");
        }
        notes.add("seccomp: " + name + " is no known system call and stays as the default says");
      }
    }
  }

  private Calls calls(Architecture architecture) throws SeccompException {
    Map<Integer, List<Branch>> conditional = new TreeMap<>(Integer::compareUnsigned);
    Map<Integer, Integer> unconditional = new TreeMap<>(Integer::compareUnsigned);
    int newest = -1;
    for (SyscallRule rule : profile.syscalls()) {
      int answer = answer(rule.action(), rule.errno());
      for (String name : rule.names()) {
        OptionalInt number = SyscallTable.get().number(architecture, name);
        if (number.isPresent() && number.getAsInt() % SyscallTable.X32_BIT < ARM_PRIVATE) {
          newest = Math.max(newest, number.getAsInt());
        }
        if (answer == byDefault) {
          continue;
        }
        if (number.isPresent()) {
          if (rule.arguments().isEmpty()) {
            unconditional.putIfAbsent(number.getAsInt(), answer);
          } else {
            List<Branch> branches = branches(rule, answer);
            countConditional(branches.size());
            conditional
                .computeIfAbsent(number.getAsInt(), key -> new ArrayList<>())
                .addAll(branches);
          }
        }
        if (architecture == Architecture.X86) {
          multiplexed(name, rule, answer, conditional);
        }
      }
    }
    TreeMap<Integer, Decision> decisions = new TreeMap<>(Integer::compareUnsigned);
    conditional.forEach((number, branches) -> decisions.put(number, decision(branches)));
    unconditional.forEach((number, answer) -> decisions.put(number, Decision.always(answer)));
    boolean stub = newest >= 0 && !permissive(profile.defaultAction());
    return new Calls(
        architecture,
        decisions,
        byDefault,
        stub ? OptionalInt.of(newest) : OptionalInt.empty(),
        Action.ERRNO.number() | ENOSYS);
  }

  /** Ends early what could never be a program: names times conditions can be very many. */
  private void countConditional(int more) throws SeccompException {
    conditionalAnswers += more;
    if (conditionalAnswers > Assembler.MAX_INSTRUCTIONS) {
      throw new SeccompException(
          "syscalls",
          "has more argument conditions than a program has instructions, "
              + Assembler.MAX_INSTRUCTIONS
              + "; use fewer");
    }
  }

  private Decision decision(List<Branch> branches) {
    List<Branch> sorted = new ArrayList<>(branches);
    sorted.sort(Comparator.comparingInt(branch -> strictness(branch.answer())));
    return new Decision(sorted, byDefault);
  }

  private static List<Branch> branches(SyscallRule rule, int answer) {
    Set<Integer> arguments = new LinkedHashSet<>();
    for (ArgumentRule argument : rule.arguments()) {
      arguments.add(argument.index());
    }
    if (arguments.size() == rule.arguments().size()) {
      return List.of(new Branch(rule.arguments(), answer));
    }
    return rule.arguments().stream()
        .map(argument -> new Branch(List.of(argument), answer))
        .toList();
  }

  private void multiplexed(
      String name, SyscallRule rule, int answer, Map<Integer, List<Branch>> conditional) {
    Multiplexer.of(name)
        .ifPresent(call -> {
          boolean permits = strictness(answer) > strictness(byDefault);
          if (!rule.arguments().isEmpty() && permits) {
            return;
          }
          int number = SyscallTable.get().number(Architecture.X86, call.through()).orElseThrow();
          ArgumentRule operation = new ArgumentRule(0, call.operation(), 0, Operator.EQ);
          List<Branch> branches = conditional.computeIfAbsent(number, key -> new ArrayList<>());
          boolean said = branches.stream().anyMatch(b -> b.conditions().equals(List.of(operation)));
          // As with numbers of their own: the first rule counts.
          if (!said) {
            branches.add(new Branch(List.of(operation), answer));
          }
        });
  }

  private static boolean permissive(Action action) {
    return switch (action) {
      case ALLOW, LOG, TRACE -> true;
      case KILL, KILL_THREAD, KILL_PROCESS, TRAP, ERRNO, NOTIFY -> false;
    };
  }

  /** The kernel's return value. */
  static int answer(Action action, OptionalInt errno) {
    return switch (action) {
      case ERRNO, TRACE -> action.number() | (errno.orElse(EPERM) & 0xffff);
      case KILL, KILL_THREAD, KILL_PROCESS, TRAP, NOTIFY, LOG, ALLOW -> action.number();
    };
  }

  private static final Map<Action, Integer> STRICTNESS = strictnesses();

  private static Map<Action, Integer> strictnesses() {
    Map<Action, Integer> all = new EnumMap<>(Action.class);
    for (Action action : Action.values()) {
      all.put(action, strictness(action.number()));
    }
    return all;
  }

  private static int strictness(Action action) {
    return Objects.requireNonNull(STRICTNESS.get(action));
  }

  /** The kernel's own order (seccomp(2)): the action bits as a signed number, least first. */
  private static int strictness(int answer) {
    return answer >> 16;
  }
}
