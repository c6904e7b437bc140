package brig.testing.faults.points;

import brig.testing.faults.Inventory;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/** Every scene at every point that it has, with the same fault made there. */
public final class Matrix {

  /** Pods that share a kill. */
  private static final int AT_ONCE = 24;

  private final Stage stage;
  private final Fault fault;
  private final Consumer<String> progress;
  private final Map<Scene, Outcome> undisturbed = new LinkedHashMap<>();
  private int kills;

  private Matrix(Stage stage, Fault fault, Consumer<String> progress) {
    this.stage = stage;
    this.fault = fault;
    this.progress = progress;
  }

  /**
   * brigd is killed.
   *
   * @param progress is told what is done
   */
  public static Matrix ofDaemonDeaths(Stage stage, Consumer<String> progress) {
    return new Matrix(stage, new DaemonDeath(), progress);
  }

  /** Every pod's keeper is killed. */
  public static Matrix ofKeeperDeaths(Stage stage, Consumer<String> progress) {
    return new Matrix(stage, new KeeperDeath(), progress);
  }

  /** Plays all; what came of it. */
  public Grid play() {
    Map<String, List<String>> before = Inventory.of(stage.containerd());
    rehearse();
    Grid grid = new Grid(undisturbed);
    for (List<Part> batch : batches(parts())) {
      List<Trial> trials =
          batch.stream().map(part -> stage.trial(part.scene(), Optional.of(part.point()))).toList();
      play(trials);
      trials.forEach(grid::add);
    }
    fault.harm(stage).forEach(grid::problem);
    Inventory.leftBehind(stage.containerd(), before)
        .forEach((kind, entries) -> grid.problem("left behind: " + kind + ": " + entries));
    grid.kills(kills);
    return grid;
  }

  private record Part(Scene scene, Point point) {}

  private List<Part> parts() {
    List<Part> parts = new ArrayList<>();
    undisturbed.forEach((scene, outcome) -> {
      for (Moment moment : Moment.values()) {
        if (fault.isToBeMadeAt(moment)) {
          outcome.points(moment).forEach(point -> parts.add(new Part(scene, point)));
        }
      }
    });
    return parts;
  }

  /** Neighbours in the list differ in their points alone; a batch has many scenes. */
  private static List<List<Part>> batches(List<Part> parts) {
    int count = (parts.size() + AT_ONCE - 1) / AT_ONCE;
    List<List<Part>> batches = new ArrayList<>();
    for (int first = 0; first < count; first++) {
      List<Part> batch = new ArrayList<>();
      for (int i = first; i < parts.size(); i += count) {
        batch.add(parts.get(i));
      }
      batches.add(batch);
    }
    return batches;
  }

  /** Nothing is killed: how it is to be, and which points there are. */
  private void rehearse() {
    List<Trial> trials =
        Scenes.all().stream().map(scene -> stage.trial(scene, Optional.empty())).toList();
    new Batch(stage, trials).play(all -> {}, Trial::finish);
    for (Trial trial : trials) {
      if (!trial.problems().isEmpty()) {
        throw new AssertionError("undisturbed, " + trial + ": " + trial.problems());
      }
      Outcome outcome = Outcome.of(trial);
      undisturbed.put(trial.scene(), outcome);
      progress.accept("%s: %s".formatted(trial, outcome));
    }
  }

  private void play(List<Trial> batch) {
    new Batch(stage, batch)
        .play(
            trials -> {
              fault.strike(stage, trials);
              kills++;
            },
            trial -> fault.goOn(trial, outcome(trial.scene())));
    progress.accept(
        "kill %d: %d pods, %d of them otherwise than they are to be"
            .formatted(
                kills,
                batch.size(),
                batch.stream().filter(trial -> !trial.problems().isEmpty()).count()));
  }

  private Outcome outcome(Scene scene) {
    return Optional.ofNullable(undisturbed.get(scene)).orElseThrow();
  }
}
