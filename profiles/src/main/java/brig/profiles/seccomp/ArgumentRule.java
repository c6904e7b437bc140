package brig.profiles.seccomp;

/**
 * A condition on one argument of a system call, compared as unsigned 64-bit numbers.
 *
 * @param index number of the argument, 0 to 5
 * @param value what is compared with; for {@link Operator#MASKED_EQ} the mask
 * @param valueTwo for {@link Operator#MASKED_EQ} what the masked argument must be
 */
public record ArgumentRule(int index, long value, long valueTwo, Operator operator) {
  public ArgumentRule {
    if (index < 0 || index > 5) {
      throw new IllegalArgumentException("argument index " + index + " is not within 0 to 5");
    }
  }
}
