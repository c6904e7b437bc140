package brig.profiles.seccomp;

import java.util.List;
import java.util.NavigableMap;
import java.util.OptionalInt;
import java.util.TreeMap;

/**
 * What a filter shall answer, by architecture and number: the compiler's input. Answers are the
 * kernel's return values ({@code SECCOMP_RET_*} with their data).
 *
 * @param badArchitecture answer to calls of any other architecture
 */
record Policy(List<Calls> architectures, int badArchitecture) {
  Policy {
    architectures = List.copyOf(architectures);
  }

  /**
   * One architecture's answers.
   *
   * @param numbers calls with an answer of their own
   * @param otherwise the answer to any other call
   * @param newerThan calls with greater numbers, and none of their own, get {@code toNewer}: the
   *     policy was written before they existed
   */
  record Calls(
      Architecture architecture,
      NavigableMap<Integer, Decision> numbers,
      int otherwise,
      OptionalInt newerThan,
      int toNewer) {
    Calls {
      // Numbers are unsigned to the kernel.
      NavigableMap<Integer, Decision> sorted = new TreeMap<>(Integer::compareUnsigned);
      sorted.putAll(numbers);
      numbers = sorted;
    }
  }

  /** The answer to one call: the first branch whose conditions all hold, else {@code otherwise}. */
  record Decision(List<Branch> branches, int otherwise) {
    Decision {
      branches = List.copyOf(branches);
    }

    static Decision always(int answer) {
      return new Decision(List.of(), answer);
    }
  }

  record Branch(List<ArgumentRule> conditions, int answer) {
    Branch {
      conditions = List.copyOf(conditions);
    }
  }
}
