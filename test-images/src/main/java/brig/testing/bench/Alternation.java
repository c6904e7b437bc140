package brig.testing.bench;

import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.function.ToDoubleFunction;

/**
 * Takes subjects in turn, so that a machine that grows slower or faster during a run does so for
 * all of them; who comes first changes with each round.
 */
final class Alternation {

  private static final double NANOS_PER_MILLI = 1e6;

  private final List<Subject> subjects;

  Alternation(List<Subject> subjects) {
    this.subjects = subjects;
  }

  /**
   * Measures {@code rounds} values of each subject, after {@code warmUps} rounds that don't count.
   */
  Map<Subject, Samples> measure(int warmUps, int rounds, ToDoubleFunction<Subject> measurement) {
    Map<Subject, Samples> samples = new EnumMap<>(Subject.class);
    for (int round = 0; round < warmUps + rounds; round++) {
      for (int i = 0; i < subjects.size(); i++) {
        Subject subject = subjects.get((round + i) % subjects.size());
        double value = measurement.applyAsDouble(subject);
        if (round >= warmUps) {
          samples.computeIfAbsent(subject, key -> new Samples()).add(value);
        }
      }
    }
    return samples;
  }

  /** The same with the action's time in milliseconds. */
  Map<Subject, Samples> time(int warmUps, int rounds, Consumer<Subject> action) {
    return measure(warmUps, rounds, subject -> millis(() -> action.accept(subject)));
  }

  static double millis(Runnable action) {
    long begin = System.nanoTime();
    action.run();
    return (System.nanoTime() - begin) / NANOS_PER_MILLI;
  }

  /** A row with a quantile of each subject's samples. */
  static Row row(
      String key,
      String title,
      String unit,
      Row.Kind kind,
      Map<Subject, Samples> samples,
      double quantile) {
    Map<Subject, Double> values = new EnumMap<>(Subject.class);
    samples.forEach((subject, all) -> values.put(subject, all.quantile(quantile)));
    int count = samples.values().stream().mapToInt(Samples::count).max().orElse(0);
    return new Row(key, title, unit, kind, count, values);
  }

  /** p50 and p99 in milliseconds. */
  static List<Row> latency(String key, String title, Map<Subject, Samples> samples) {
    return List.of(
        row(key + ".p50", title + ", p50", "ms", Row.Kind.COST, samples, 0.5),
        row(key + ".p99", title + ", p99", "ms", Row.Kind.COST, samples, 0.99));
  }
}
