package brig.testing.bench;

import java.util.List;
import java.util.Map;

/**
 * From nothing to brigd's first answer, and its answer once it runs: {@code brig version} both
 * times. Then the first container of a daemon whose code has never run.
 */
final class DaemonStart implements Measurement {

  @Override
  public String title() {
    return "brigd's start";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    if (!bench.has(Subject.BRIG)) {
      return List.of();
    }
    Samples cold = new Samples();
    Samples warm = new Samples();
    Samples first = new Samples();
    for (int i = 0; i < plan.daemonStarts(); i++) {
      bench.daemon().stop();
      cold.add(Alternation.millis(() -> ask(bench)));
      warm.add(Alternation.millis(() -> ask(bench)));
      bench.daemon().stop();
      first.add(Alternation.millis(() -> bench.run(Subject.BRIG, "true")));
    }
    return List.of(
        row("daemon.start", "brigd from start to first answer, p50", cold),
        row("daemon.answer", "  answer of a running brigd, p50", warm),
        row("daemon.run", "ctr run --rm true without a brigd, p50", first));
  }

  private static void ask(Workbench bench) {
    bench.daemon().command("version").run().orFail();
  }

  private static Row row(String key, String title, Samples samples) {
    return new Row(
        key, title, "ms", Row.Kind.COST, samples.count(), Map.of(Subject.BRIG, samples.median()));
  }
}
