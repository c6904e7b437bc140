package brig.profiles.seccomp;

import brig.profiles.seccomp.Policy.Branch;
import java.util.ArrayList;
import java.util.List;

/**
 * Code for one branch: all conditions hold, then the answer; else on to what follows. Arguments are
 * 64 bits, the machine's registers 32, so that most comparisons look at the high word first.
 */
final class Conditions {
  private Conditions() {}

  /** A comparison of one loaded word. */
  private sealed interface Step {
    record Load(int offset) implements Step {}

    record And(int mask) implements Step {}

    record Test(int code, int k, Goal ifTrue, Goal ifFalse) implements Step {}
  }

  /** Where a test leads. */
  private enum Goal {
    /** The next step. */
    ON,
    /** The next condition. */
    HOLDS,
    /** What follows the branch. */
    FAILS
  }

  static void branch(Assembler program, Branch branch, boolean narrow) {
    List<List<Step>> conditions = new ArrayList<>();
    for (ArgumentRule rule : branch.conditions()) {
      conditions.add(narrow ? narrow(rule) : wide(rule));
    }
    int size = conditions.stream().mapToInt(List::size).sum() + 1;
    int position = 0;
    for (List<Step> condition : conditions) {
      int end = position + condition.size();
      for (Step step : condition) {
        position++;
        switch (step) {
          case Step.Load(int offset) -> program.load(offset);
          case Step.And(int mask) -> program.and(mask);
          case Step.Test(int code, int k, Goal ifTrue, Goal ifFalse) ->
              program.jump(
                  code,
                  k,
                  distance(ifTrue, position, end, size),
                  distance(ifFalse, position, end, size));
        }
      }
    }
    program.answer(branch.answer());
  }

  private static int distance(Goal goal, int next, int end, int size) {
    return switch (goal) {
      case ON -> 0;
      case HOLDS -> end - next;
      case FAILS -> size - next;
    };
  }

  private static List<Step> narrow(ArgumentRule rule) {
    int offset = Assembler.low(rule.index());
    int value = (int) rule.value();
    List<Step> steps = new ArrayList<>();
    steps.add(new Step.Load(offset));
    switch (rule.operator()) {
      case EQ -> steps.add(test(Assembler.JEQ_K, value, Goal.HOLDS, Goal.FAILS));
      case NE -> steps.add(test(Assembler.JEQ_K, value, Goal.FAILS, Goal.HOLDS));
      case GT -> steps.add(test(Assembler.JGT_K, value, Goal.HOLDS, Goal.FAILS));
      case GE -> steps.add(test(Assembler.JGE_K, value, Goal.HOLDS, Goal.FAILS));
      case LT -> steps.add(test(Assembler.JGE_K, value, Goal.FAILS, Goal.HOLDS));
      case LE -> steps.add(test(Assembler.JGT_K, value, Goal.FAILS, Goal.HOLDS));
      case MASKED_EQ -> {
        steps.add(new Step.And(value));
        steps.add(test(Assembler.JEQ_K, (int) rule.valueTwo() & value, Goal.HOLDS, Goal.FAILS));
      }
    }
    return steps;
  }

  private static List<Step> wide(ArgumentRule rule) {
    int lowValue = (int) rule.value();
    int highValue = (int) (rule.value() >>> 32);
    List<Step> steps = new ArrayList<>();
    switch (rule.operator()) {
      case EQ -> {
        steps.add(new Step.Load(Assembler.high(rule.index())));
        steps.add(test(Assembler.JEQ_K, highValue, Goal.ON, Goal.FAILS));
        steps.add(new Step.Load(Assembler.low(rule.index())));
        steps.add(test(Assembler.JEQ_K, lowValue, Goal.HOLDS, Goal.FAILS));
      }
      case NE -> {
        steps.add(new Step.Load(Assembler.high(rule.index())));
        steps.add(test(Assembler.JEQ_K, highValue, Goal.ON, Goal.HOLDS));
        steps.add(new Step.Load(Assembler.low(rule.index())));
        steps.add(test(Assembler.JEQ_K, lowValue, Goal.FAILS, Goal.HOLDS));
      }
      case GT -> order(steps, rule.index(), highValue, Assembler.JGT_K, lowValue, true);
      case GE -> order(steps, rule.index(), highValue, Assembler.JGE_K, lowValue, true);
      case LT -> order(steps, rule.index(), highValue, Assembler.JGE_K, lowValue, false);
      case LE -> order(steps, rule.index(), highValue, Assembler.JGT_K, lowValue, false);
      case MASKED_EQ -> {
        if (highValue != 0) {
          steps.add(new Step.Load(Assembler.high(rule.index())));
          steps.add(new Step.And(highValue));
          steps.add(
              test(
                  Assembler.JEQ_K,
                  (int) (rule.valueTwo() >>> 32) & highValue,
                  Goal.ON,
                  Goal.FAILS));
        }
        steps.add(new Step.Load(Assembler.low(rule.index())));
        steps.add(new Step.And(lowValue));
        steps.add(test(Assembler.JEQ_K, (int) rule.valueTwo() & lowValue, Goal.HOLDS, Goal.FAILS));
      }
    }
    return steps;
  }

  /** Greater than (or equal, by the low word's test), or its opposite. */
  private static void order(
      List<Step> steps, int index, int highValue, int lowTest, int lowValue, boolean greater) {
    Goal above = greater ? Goal.HOLDS : Goal.FAILS;
    Goal below = greater ? Goal.FAILS : Goal.HOLDS;
    steps.add(new Step.Load(Assembler.high(index)));
    steps.add(test(Assembler.JGT_K, highValue, above, Goal.ON));
    steps.add(test(Assembler.JEQ_K, highValue, Goal.ON, below));
    steps.add(new Step.Load(Assembler.low(index)));
    steps.add(test(lowTest, lowValue, above, below));
  }

  private static Step test(int code, int k, Goal ifTrue, Goal ifFalse) {
    return new Step.Test(code, k, ifTrue, ifFalse);
  }
}
