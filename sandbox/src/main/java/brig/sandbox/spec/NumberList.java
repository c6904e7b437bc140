package brig.sandbox.spec;

import java.util.BitSet;
import java.util.Optional;

/** Lists of CPUs or memory nodes in the kernel's form: {@code "0-3,7"}. */
public final class NumberList {
  /** Above any NR_CPUS. */
  private static final int MAX = 8191;

  private NumberList() {}

  /** What is wrong with it; empty: nothing. The empty list is right. */
  public static Optional<String> check(String list) {
    try {
      parse(list);
      return Optional.empty();
    } catch (IllegalArgumentException e) {
      return Optional.of(String.valueOf(e.getMessage()));
    }
  }

  /**
   * The numbers of the list.
   *
   * @throws IllegalArgumentException where it is malformed
   */
  public static BitSet parse(String list) {
    BitSet numbers = new BitSet();
    if (list.isEmpty()) {
      return numbers;
    }
    for (String part : list.split(",", -1)) {
      int dash = part.indexOf('-');
      int first = number(dash < 0 ? part : part.substring(0, dash), list);
      int last = dash < 0 ? first : number(part.substring(dash + 1), list);
      if (last < first) {
        throw new IllegalArgumentException("\"" + list + "\" has the range " + part + " reversed");
      }
      numbers.set(first, last + 1);
    }
    return numbers;
  }

  /** The numbers as a bit mask, bit i of byte i/8, without trailing zero bytes. */
  public static byte[] mask(String list) {
    return parse(list).toByteArray();
  }

  private static int number(String text, String list) {
    boolean digits = !text.isEmpty() && text.length() <= 4;
    for (int i = 0; i < text.length(); i++) {
      digits &= text.charAt(i) >= '0' && text.charAt(i) <= '9';
    }
    if (!digits || Integer.parseInt(text) > MAX) {
      throw new IllegalArgumentException(
          "\"" + list + "\" is not a list of numbers and ranges up to " + MAX);
    }
    return Integer.parseInt(text);
  }
}
