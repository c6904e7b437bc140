package brig.testing.bench;

import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.spec.OciSpec;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;

/**
 * How long a user waits: for a container's whole life, for an exec, and for each phase of a life.
 */
final class Latency {

  private static final int WARM_UPS = 3;

  private Latency() {}

  /** {@code ctr run --rm} of {@code true}, from the start of ctr to its end. */
  static final class Run implements Measurement {
    @Override
    public String title() {
      return "ctr run --rm true";
    }

    @Override
    public List<Row> measure(Workbench bench, Plan plan) {
      return Alternation.latency(
          "run",
          title(),
          bench.alternation().time(WARM_UPS, plan.runs(), subject -> bench.run(subject, "true")));
    }
  }

  /** {@code ctr task exec} of {@code true} in a container that runs. */
  static final class Exec implements Measurement {
    @Override
    public String title() {
      return "ctr task exec true";
    }

    @Override
    public List<Row> measure(Workbench bench, Plan plan) {
      try (Pods pods = new Pods(bench)) {
        Each<Pods.Pod> each = new Each<>(bench.subjects(), pods::add);
        return Alternation.latency(
            "exec",
            title(),
            bench
                .alternation()
                .time(
                    WARM_UPS,
                    plan.execs(),
                    subject ->
                        bench
                            .containerd()
                            .ctr()
                            .exec(each.of(subject).id(), "true")
                            .run()
                            .orFail()));
      }
    }
  }

  /** The phases of a life, by gRPC over a warm connection: what of {@link Run} isn't ctr's own. */
  static final class Phases implements Measurement {
    private static final int CREATE = 0;
    private static final int EXIT = 1;
    private static final int DELETE = 2;

    @Override
    public String title() {
      return "a life by gRPC, phase by phase";
    }

    @Override
    public List<Row> measure(Workbench bench, Plan plan) {
      List<Map<Subject, Samples>> phases = new ArrayList<>();
      for (int phase = CREATE; phase <= DELETE; phase++) {
        phases.add(new EnumMap<>(Subject.class));
      }
      Map<Subject, Samples> whole =
          bench
              .alternation()
              .measure(
                  0,
                  WARM_UPS + plan.lives(),
                  subject -> {
                    double[] millis = life(bench, subject);
                    for (int phase = CREATE; phase <= DELETE; phase++) {
                      phases
                          .get(phase)
                          .computeIfAbsent(subject, key -> new Samples())
                          .add(millis[phase]);
                    }
                    return millis[CREATE] + millis[EXIT] + millis[DELETE];
                  });
      List<Row> rows = new ArrayList<>();
      rows.add(row("life.create", "  Create", phases.get(CREATE)));
      rows.add(row("life.exit", "  Start until Wait answers", phases.get(EXIT)));
      rows.add(row("life.delete", "  Delete", phases.get(DELETE)));
      rows.addFirst(row("life", "Create to Delete by gRPC", whole));
      return rows;
    }

    private static Row row(String key, String title, Map<Subject, Samples> samples) {
      return Alternation.row(key + ".p50", title + ", p50", "ms", Row.Kind.COST, samples, 0.5);
    }

    private static double[] life(Workbench bench, Subject subject) {
      double[] millis = new double[3];
      try (TestContainer container =
          bench.client(subject).container(subject.freshId(), OciSpec.running("true"))) {
        TestProcess[] process = new TestProcess[1];
        millis[CREATE] = Alternation.millis(() -> process[0] = container.create(Stdio.none()));
        millis[EXIT] =
            Alternation.millis(() -> {
              var exit = process[0].exitAhead();
              process[0].start();
              if (TestProcess.await(exit).status() != 0) {
                throw new AssertionError(container.id() + " ended badly");
              }
            });
        millis[DELETE] = Alternation.millis(process[0]::delete);
      }
      return millis;
    }
  }
}
