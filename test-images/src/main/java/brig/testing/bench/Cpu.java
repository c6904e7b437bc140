package brig.testing.bench;

import brig.testing.Eventually;
import brig.testing.kernel.Processes;
import java.util.List;
import java.util.Map;

/**
 * Processor time of a container's whole life: how far the {@link Accounts} have moved over a number
 * of {@code ctr run --rm true}, divided by that number. containerd's part and the container's own
 * program are in it, and the same for all subjects; ctr isn't.
 */
final class Cpu implements Measurement {

  @Override
  public String title() {
    return "CPU time per life";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    if (bench.has(Subject.BRIG)) {
      try (Pods pods = new Pods(bench)) {
        Pods.Pod pod = pods.add(Subject.BRIG);
        bench.accounts().include(pod.shimPid());
        bench.daemon().pid().ifPresent(bench.accounts()::include);
      }
    }
    Map<Subject, Samples> samples =
        bench
            .alternation()
            .measure(
                0,
                plan.cpuRounds(),
                subject -> {
                  settle(bench);
                  double before = bench.accounts().millis();
                  for (int i = 0; i < plan.cpuLives(); i++) {
                    bench.run(subject, "true");
                  }
                  settle(bench);
                  return (bench.accounts().millis() - before) / plan.cpuLives();
                });
    return List.of(
        Alternation.row("cpu", "CPU time per life of true", "ms", Row.Kind.COST, samples, 0.5));
  }

  /** Waits for the ends of shims that are still at work after their answer. */
  private static void settle(Workbench bench) {
    String address = bench.containerd().address().toString();
    Eventually.holds(
        "all shims have ended",
        () -> Processes.whoseCommandLineHas(address).isEmpty(),
        () -> Processes.whoseCommandLineHas(address).stream().map(Processes::commandLine).toList());
  }
}
