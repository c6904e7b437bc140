package brig.testing.bench;

import brig.testing.kernel.Processes;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/**
 * What becomes of a node that fills with pods. What each costs while it does nothing: the shim's
 * processes without the workload, by the kernel's own sums ({@code smaps_rollup}), as a mean over
 * all pods of the subject; and brigd, which all of Brig's pods share. And how long a further
 * container takes while so many pods of its subject are there.
 */
final class Growth implements Measurement {

  /** Keys of rows that {@link Plot} draws, before the number of pods. */
  static final String RUN = "growth.run.";

  static final String PRIVATE = "memory.private.";

  private static final double KILO = 1024;

  @Override
  public String title() {
    return "growing numbers of pods";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    List<Row> rows = new ArrayList<>();
    Map<Integer, Map<Subject, Use>> uses = new HashMap<>();
    Map<Integer, Double> daemonRss = new HashMap<>();
    Map<Integer, Map<Subject, Samples>> runs = new HashMap<>();
    for (Subject subject : bench.subjects()) {
      if (subject == Subject.CRUN) {
        // Its shim is runc's.
        continue;
      }
      try (Pods pods = new Pods(bench)) {
        for (int number : plan.pods()) {
          Use use = mean(pods.fill(subject, number));
          OptionalInt daemon = bench.daemon().pid();
          if (subject == Subject.BRIG && daemon.isPresent()) {
            Use own = Use.of(daemon.getAsInt());
            use = use.withShared(own.pss() / number);
            daemonRss.put(number, own.rss());
          }
          uses.computeIfAbsent(number, key -> new EnumMap<>(Subject.class)).put(subject, use);
          runs.computeIfAbsent(number, key -> new EnumMap<>(Subject.class))
              .put(subject, runs(bench, subject, plan.runsAmong()));
        }
      }
    }
    for (int number : plan.pods()) {
      String at = "at " + pods(number);
      Map<Subject, Use> all = uses.getOrDefault(number, Map.of());
      Map<Subject, Double> pss = new EnumMap<>(Subject.class);
      Map<Subject, Double> own = new EnumMap<>(Subject.class);
      Map<Subject, Double> whole = new EnumMap<>(Subject.class);
      all.forEach((subject, use) -> {
        pss.put(subject, use.pss());
        own.put(subject, use.own());
        whole.put(subject, use.pss() + use.shared());
      });
      rows.add(row("memory.pss." + number, "shim PSS per pod " + at, number, pss));
      rows.add(row(PRIVATE + number, "shim private per pod " + at, number, own));
      rows.add(row("memory.whole." + number, "  with brigd's part, per pod " + at, number, whole));
    }
    daemonRss.keySet().stream()
        .sorted()
        .forEach(number ->
            rows.add(
                row(
                    "memory.daemon." + number,
                    "brigd RSS at " + pods(number),
                    1,
                    Map.of(Subject.BRIG, daemonRss.getOrDefault(number, 0.0)))));
    for (int number : plan.pods()) {
      rows.add(
          Alternation.row(
              RUN + number,
              "ctr run --rm true beside " + pods(number) + ", p50",
              "ms",
              Row.Kind.COST,
              runs.getOrDefault(number, Map.of()),
              0.5));
    }
    return rows;
  }

  private static String pods(int number) {
    return number + (number == 1 ? " pod" : " pods");
  }

  private static Samples runs(Workbench bench, Subject subject, int number) {
    Samples samples = new Samples();
    bench.run(subject, "true");
    for (int i = 0; i < number; i++) {
      samples.add(Alternation.millis(() -> bench.run(subject, "true")));
    }
    return samples;
  }

  private static Row row(String key, String title, int samples, Map<Subject, Double> values) {
    return new Row(key, title, "kB", Row.Kind.COST, samples, values);
  }

  private static Use mean(List<Pods.Pod> pods) {
    Use sum = new Use(0, 0, 0, 0);
    for (Pods.Pod pod : pods) {
      sum = sum.plus(of(pod));
    }
    int number = pods.size();
    return new Use(sum.pss() / number, sum.own() / number, sum.rss() / number, 0);
  }

  /** The shim and what it has started, without the workload. */
  private static Use of(Pods.Pod pod) {
    int shim = pod.shimPid();
    Use use = Use.of(shim);
    for (int child : Processes.childrenOf(shim)) {
      if (child != pod.initPid()) {
        use = use.plus(Use.of(child));
      }
    }
    return use;
  }

  /** In kB; {@code shared} is the pod's part of what serves all of them. */
  private record Use(double pss, double own, double rss, double shared) {

    static Use of(int pid) {
      Map<String, Double> fields = new HashMap<>();
      for (String line : new brig.testing.kernel.Proc(pid).read("smaps_rollup").lines().toList()) {
        String[] words = line.trim().split("\\s+");
        if (words.length == 3 && words[2].equals("kB")) {
          fields.put(words[0], Double.parseDouble(words[1]) * KILO / 1000);
        }
      }
      return new Use(
          fields.getOrDefault("Pss:", 0.0),
          fields.getOrDefault("Private_Clean:", 0.0) + fields.getOrDefault("Private_Dirty:", 0.0),
          fields.getOrDefault("Rss:", 0.0),
          0);
    }

    Use plus(Use other) {
      return new Use(pss + other.pss, own + other.own, rss + other.rss, shared + other.shared);
    }

    Use withShared(double part) {
      return new Use(pss, own, rss, part);
    }
  }
}
