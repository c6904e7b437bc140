package brig.testing.bench;

import brig.testing.proto.tasks.GetRequest;
import brig.testing.shim.ShimSocket;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

/**
 * The call that clients make most: State, through containerd as they do, and directly to the shim.
 */
final class State implements Measurement {

  private static final int CALLS_IN_A_ROW = 20;

  @Override
  public String title() {
    return "State";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    try (Pods pods = new Pods(bench)) {
      Each<Pods.Pod> each = new Each<>(bench.subjects(), pods::add);
      List<Row> rows = new ArrayList<>();
      rows.addAll(
          Alternation.latency(
              "state.containerd",
              "State through containerd",
              inTurn(
                  bench,
                  plan,
                  subject ->
                      bench
                          .client(subject)
                          .tasks()
                          .get(
                              GetRequest.newBuilder()
                                  .setContainerId(each.of(subject).id())
                                  .build()))));
      Each<ShimSocket> sockets =
          new Each<>(bench.subjects(), subject -> each.of(subject).connect());
      try {
        rows.addAll(
            Alternation.latency(
                "state.shim",
                "State of the shim by ttrpc",
                inTurn(bench, plan, subject -> sockets.of(subject).state(each.of(subject).id()))));
      } finally {
        sockets.forEach(ShimSocket::close);
      }
      return rows;
    }
  }

  /** In short rows of the same subject: a switch costs both sides their caches. */
  private static Map<Subject, Samples> inTurn(Workbench bench, Plan plan, Consumer<Subject> call) {
    Map<Subject, Samples> samples = new EnumMap<>(Subject.class);
    bench
        .alternation()
        .time(
            0,
            plan.states() / CALLS_IN_A_ROW * 2,
            subject -> {
              Samples own = samples.computeIfAbsent(subject, key -> new Samples());
              for (int i = 0; i < CALLS_IN_A_ROW; i++) {
                own.add(Alternation.millis(() -> call.accept(subject)));
              }
            });
    Map<Subject, Samples> warm = new EnumMap<>(Subject.class);
    samples.forEach((subject, all) -> warm.put(subject, all.lastHalf()));
    return warm;
  }
}
