package brig.testing.faults.points;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/** What came of each scene at each moment. */
public final class Grid {

  private final Map<Scene, Outcome> scenes;
  private final List<Trial> trials = new ArrayList<>();
  private final List<String> more = new ArrayList<>();
  private int kills;

  Grid(Map<Scene, Outcome> scenes) {
    this.scenes = new LinkedHashMap<>(scenes);
  }

  void add(Trial trial) {
    trials.add(trial);
  }

  void problem(String text) {
    more.add(text);
  }

  void kills(int number) {
    kills = number;
  }

  /** How often something was killed. */
  public int kills() {
    return kills;
  }

  /** How many calls were under way at a kill. */
  public int points() {
    return trials.size();
  }

  /** Everything that was otherwise than it is undisturbed, one line each. */
  public List<String> problems() {
    return Stream.concat(
            trials.stream()
                .flatMap(trial -> trial.problems().stream().map(problem -> trial + ": " + problem)),
            more.stream())
        .toList();
  }

  private String cell(Scene scene, Moment moment) {
    List<Trial> here =
        trials.stream()
            .filter(trial ->
                trial.scene().equals(scene)
                    && trial.point().filter(point -> point.is(moment)).isPresent())
            .toList();
    long broken = here.stream().filter(trial -> !trial.problems().isEmpty()).count();
    if (here.isEmpty()) {
      return "-";
    }
    return broken == 0 ? Integer.toString(here.size()) : broken + " broken";
  }

  /**
   * A table: how many points each call has at each moment, all of them kept, or how many broken.
   */
  @Override
  public String toString() {
    int wide = scenes.keySet().stream().mapToInt(scene -> scene.title().length()).max().orElse(0);
    StringBuilder text = new StringBuilder();
    for (Moment moment : Moment.values()) {
      text.append("  %2d  %s%n".formatted(moment.ordinal() + 1, moment));
    }
    text.append("%n%s".formatted(" ".repeat(wide)));
    for (Moment moment : Moment.values()) {
      text.append("  %6d".formatted(moment.ordinal() + 1));
    }
    text.append("%n".formatted());
    for (Scene scene : scenes.keySet()) {
      text.append(scene.title()).append(" ".repeat(wide - scene.title().length()));
      for (Moment moment : Moment.values()) {
        text.append("  %6s".formatted(cell(scene, moment)));
      }
      text.append("%n".formatted());
    }
    return text.toString();
  }
}
