package brig.profiles.seccomp;

import brig.profiles.seccomp.Policy.Branch;
import brig.profiles.seccomp.Policy.Calls;
import brig.profiles.seccomp.Policy.Decision;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Compiles a policy to classic BPF: per architecture a binary search over intervals of numbers with
 * the same answer. The kernel runs the program once for each number when it is installed (to build
 * its cache of calls that are always allowed), so a short way through it is what makes installing
 * cheap.
 */
final class Compiler {
  /** Interval of numbers from {@code first} on, up to the next one's first; unsigned. */
  private record Interval(int first, Leaf leaf) {}

  private record Leaf(Decision decision, boolean narrow) {}

  private Compiler() {}

  static byte[] compile(Policy policy) throws SeccompException {
    Map<Integer, List<Calls>> byToken = new LinkedHashMap<>();
    for (Calls calls : policy.architectures()) {
      byToken
          .computeIfAbsent(Machine.auditArch(calls.architecture()), token -> new ArrayList<>())
          .add(calls);
    }
    Assembler program = new Assembler();
    program.load(Assembler.ARCH);
    for (Map.Entry<Integer, List<Calls>> entry : byToken.entrySet()) {
      Assembler body = new Assembler();
      body.load(Assembler.NR);
      List<Interval> intervals = intervals(entry.getValue(), policy.badArchitecture());
      tree(body, intervals, 0, intervals.size());
      if (body.size() <= Assembler.MAX_JUMP) {
        program.jump(Assembler.JEQ_K, entry.getKey(), 0, body.size());
      } else {
        program.jump(Assembler.JEQ_K, entry.getKey(), 1, 0);
        program.always(body.size());
      }
      program.append(body);
    }
    program.answer(policy.badArchitecture());
    if (program.size() > Assembler.MAX_INSTRUCTIONS) {
      throw new SeccompException(
          "program",
          "has "
              + program.size()
              + " instructions, more than the kernel's "
              + Assembler.MAX_INSTRUCTIONS
              + "; use fewer argument conditions");
    }
    return program.bytes();
  }

  /** One token's intervals; x86_64 and x32 share a token and are told apart by a bit. */
  private static List<Interval> intervals(List<Calls> sharing, int badArchitecture) {
    List<Interval> all = new ArrayList<>();
    boolean x32 = false;
    for (Calls calls : sharing) {
      if (calls.architecture() == Architecture.X32) {
        x32 = true;
      }
    }
    for (Calls calls : sharing) {
      boolean beforeX32 = calls.architecture() == Architecture.X86_64;
      int first = calls.architecture() == Architecture.X32 ? SyscallTable.X32_BIT : 0;
      intervals(all, calls, first);
      if (beforeX32 && !x32) {
        // Without a stub for newer calls an x32 call is one of a foreign architecture.
        int answer = calls.newerThan().isPresent() ? calls.toNewer() : badArchitecture;
        add(all, SyscallTable.X32_BIT, new Leaf(Decision.always(answer), false));
        if (calls.newerThan().isEmpty()) {
          // -1 is what a tracer sets to skip a call, not one of x32.
          add(all, -1, new Leaf(Decision.always(calls.otherwise()), false));
        }
      }
    }
    return all;
  }

  private static void intervals(List<Interval> all, Calls calls, int first) {
    boolean narrow = Machine.narrow(calls.architecture());
    Leaf otherwise = new Leaf(Decision.always(calls.otherwise()), narrow);
    Leaf newer = new Leaf(Decision.always(calls.toNewer()), narrow);
    long next = Integer.toUnsignedLong(first);
    long lastOld =
        calls.newerThan().isPresent()
            ? Integer.toUnsignedLong(calls.newerThan().getAsInt())
            : Long.MAX_VALUE;
    for (Map.Entry<Integer, Decision> entry : calls.numbers().entrySet()) {
      long number = Integer.toUnsignedLong(entry.getKey());
      gap(all, next, number, lastOld, otherwise, newer);
      add(all, entry.getKey(), new Leaf(entry.getValue(), narrow));
      next = number + 1;
    }
    gap(all, next, 1L << 32, lastOld, otherwise, newer);
  }

  private static void gap(
      List<Interval> all, long from, long to, long lastOld, Leaf otherwise, Leaf newer) {
    if (from < to && from <= lastOld) {
      add(all, (int) from, otherwise);
    }
    long newFrom = Math.max(from, lastOld == Long.MAX_VALUE ? to : lastOld + 1);
    if (newFrom < to) {
      add(all, (int) newFrom, newer);
    }
  }

  private static void add(List<Interval> all, int first, Leaf leaf) {
    if (!all.isEmpty()
        && all.getLast().leaf().decision().equals(leaf.decision())
        && (leaf.decision().branches().isEmpty()
            || all.getLast().leaf().narrow() == leaf.narrow())) {
      return;
    }
    all.add(new Interval(first, leaf));
  }

  private static void tree(Assembler program, List<Interval> intervals, int from, int to) {
    if (to - from == 1) {
      leaf(program, intervals.get(from).leaf());
      return;
    }
    int middle = (from + to) >>> 1;
    Assembler lower = new Assembler();
    tree(lower, intervals, from, middle);
    Assembler upper = new Assembler();
    tree(upper, intervals, middle, to);
    int split = intervals.get(middle).first();
    if (lower.size() <= Assembler.MAX_JUMP) {
      program.jump(Assembler.JGE_K, split, lower.size(), 0);
    } else {
      program.jump(Assembler.JGE_K, split, 0, 1);
      program.always(lower.size());
    }
    program.append(lower);
    program.append(upper);
  }

  private static void leaf(Assembler program, Leaf leaf) {
    for (Branch branch : leaf.decision().branches()) {
      Assembler code = new Assembler();
      Conditions.branch(code, branch, leaf.narrow());
      program.append(code);
    }
    program.answer(leaf.decision().otherwise());
  }
}
