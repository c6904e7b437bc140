package brig.testing.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Many containers at once, as a node has them after its start. */
final class Burst implements Measurement {

  private static final int CONTAINERS = 50;
  private static final int IN_FLIGHT = 10;

  @Override
  public String title() {
    return CONTAINERS + " containers, " + IN_FLIGHT + " in flight";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    Map<Subject, Samples> samples =
        bench.alternation().time(0, plan.bursts(), subject -> burst(bench, subject));
    return List.of(Alternation.row("burst", title(), "ms", Row.Kind.COST, samples, 0.5));
  }

  private static void burst(Workbench bench, Subject subject) {
    try (ExecutorService workers = Executors.newFixedThreadPool(IN_FLIGHT)) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < CONTAINERS; i++) {
        running.add(workers.submit(() -> bench.run(subject, "true")));
      }
      for (Future<?> run : running) {
        run.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }
}
