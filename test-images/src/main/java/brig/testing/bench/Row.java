package brig.testing.bench;

import java.util.Map;
import java.util.OptionalDouble;

/**
 * One line of the result.
 *
 * @param key its name in files, which stays the same from version to version
 * @param title what was measured, for people
 * @param unit unit of all values
 * @param kind how values compare
 * @param samples how many values stand behind each, for quantiles
 * @param values by subject; a subject that has no such thing is left out
 */
public record Row(
    String key, String title, String unit, Kind kind, int samples, Map<Subject, Double> values) {

  /** How two values of a row compare. */
  public enum Kind {
    /** A cost: less is better, and what is above the null shim's is the runtime's own share. */
    COST,
    /** An achievement: more is better, and the null shim has none. */
    RATE
  }

  public Row {
    values = Map.copyOf(values);
  }

  public OptionalDouble value(Subject subject) {
    Double value = values.get(subject);
    return value == null ? OptionalDouble.empty() : OptionalDouble.of(value);
  }

  /** Brig's value for each one of runc's. */
  public OptionalDouble ratio() {
    Double brig = values.get(Subject.BRIG);
    Double runc = values.get(Subject.RUNC);
    return brig == null || runc == null || runc == 0
        ? OptionalDouble.empty()
        : OptionalDouble.of(brig / runc);
  }

  /** What the subject costs above the null shim. */
  public OptionalDouble share(Subject subject) {
    Double value = values.get(subject);
    Double nothing = values.get(Subject.NULL);
    return kind == Kind.RATE || value == null || nothing == null
        ? OptionalDouble.empty()
        : OptionalDouble.of(value - nothing);
  }

  /** Brig's share of the cost for each one of runc's: what the budget is about. */
  public OptionalDouble shareRatio() {
    OptionalDouble brig = share(Subject.BRIG);
    OptionalDouble runc = share(Subject.RUNC);
    return brig.isEmpty() || runc.isEmpty() || runc.getAsDouble() <= 0
        ? OptionalDouble.empty()
        : OptionalDouble.of(brig.getAsDouble() / runc.getAsDouble());
  }

  /** Whether Brig does worse than runc. */
  public boolean brigLoses() {
    OptionalDouble ratio = ratio();
    return ratio.isPresent()
        && (kind == Kind.COST ? ratio.getAsDouble() > 1 : ratio.getAsDouble() < 1);
  }
}
