package brig.shim.metrics;

import brig.shim.metrics.Exposition.Format;
import brig.shim.metrics.Exposition.Type;
import brig.shim.relay.Meter;
import io.grpc.Status;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.Supplier;
import java.util.stream.Collectors;

/** Counts while the daemon lives, and tells it as text. Begins at zero with each daemon. */
public final class Measures implements Meter {
  private static final String OTHER = "other";

  /** Methods of the task service, and the keeper's own notices. A client may send any name. */
  private static final Set<String> METHODS =
      Set.of(
          "Checkpoint",
          "CloseIO",
          "Connect",
          "Create",
          "Delete",
          "Exec",
          "Kill",
          "Pause",
          "Pids",
          "ResizePty",
          "Resume",
          "Shutdown",
          "Start",
          "State",
          "Stats",
          "Update",
          "Wait",
          "Exited",
          "OomKilled",
          "Removed");

  /** By labels. */
  private final Map<String, Histogram> calls = new ConcurrentSkipListMap<>();

  private final Map<String, Histogram> steps = new ConcurrentSkipListMap<>();
  private final LongAdder refused = new LongAdder();
  private final LongAdder turnedAway = new LongAdder();
  private final Map<String, String> versions;

  /**
   * @param versions of the program and of its contracts, by the label's name
   */
  public Measures(Map<String, String> versions) {
    this.versions = new ConcurrentSkipListMap<>(versions);
  }

  @Override
  public void call(String method, int code, long nanos) {
    String known = METHODS.contains(method) ? method : OTHER;
    String word = Status.fromCodeValue(code).getCode().name();
    add(calls, Exposition.label("code", word) + "," + Exposition.label("method", known), nanos);
  }

  @Override
  public void step(String kind, boolean done, long nanos) {
    String result = done ? "done" : "failed";
    add(steps, Exposition.label("result", result) + "," + Exposition.label("step", kind), nanos);
  }

  @Override
  public void refused() {
    refused.increment();
  }

  @Override
  public void turnedAway() {
    turnedAway.increment();
  }

  private static void add(Map<String, Histogram> family, String labels, long nanos) {
    family.computeIfAbsent(labels, absent -> new Histogram()).add(nanos);
  }

  /** All of it, in the format that the reader wants. */
  public String text(Format format, Supplier<Node> node) {
    Exposition text = new Exposition(format);
    text.family("brig_build", Type.INFO, "Versions of brigd and of what it speaks.");
    text.sample(
        "brig_build_info",
        versions.entrySet().stream()
            .map(version -> Exposition.label(version.getKey(), version.getValue()))
            .collect(Collectors.joining(",")),
        "1");
    node(text, node.get());
    histograms(
        text,
        "brig_call_duration_seconds",
        "Time from a call's arrival at brigd until its answer. What a keeper answers itself isn't among them.",
        calls);
    histograms(
        text,
        "brig_step_duration_seconds",
        "Time that a keeper took for a step of a call, and the way there and back.",
        steps);
    text.single(
        "brig_requests_refused",
        Type.COUNTER,
        "Calls refused because too many were being served.",
        Long.toString(refused.sum()));
    text.single(
        "brig_connections_turned_away",
        Type.COUNTER,
        "Connections to brigd's socket closed unheard: too many, or a foreign user's.",
        Long.toString(turnedAway.sum()));
    ProcessFigures.writeTo(text);
    return text.finished();
  }

  private static void node(Exposition text, Node node) {
    text.family("brig_pods", Type.GAUGE, "Pods, by whether their keeper is connected to brigd.");
    text.sample(
        "brig_pods", Exposition.label("keeper", "connected"), Integer.toString(node.pods()));
    text.sample("brig_pods", Exposition.label("keeper", "away"), Integer.toString(node.podsAway()));
    text.family("brig_containers", Type.GAUGE, "Containers, by state.");
    node.containers().entrySet().stream()
        .sorted(Map.Entry.comparingByKey())
        .forEach(state ->
            text.sample(
                "brig_containers",
                Exposition.label("state", state.getKey()),
                Integer.toString(state.getValue())));
    text.single(
        "brig_execs",
        Type.GAUGE,
        "Processes that were added to containers by Exec and not deleted yet.",
        Integer.toString(node.execs()));
    text.single(
        "brig_id_ranges",
        Type.GAUGE,
        "Ranges of host ids given to pods.",
        Integer.toString(node.ranges()));
    text.single(
        "brig_id_ranges_max",
        Type.GAUGE,
        "Ranges of host ids that the pool has room for.",
        Long.toString(node.rangesMax()));
  }

  private static void histograms(
      Exposition text, String family, String help, Map<String, Histogram> histograms) {
    text.family(family, Type.HISTOGRAM, help);
    histograms.forEach((labels, histogram) -> histogram.writeTo(text, family, labels));
  }
}
