package brig.testing.faults;

import brig.testing.Settings;
import brig.testing.faults.points.Grid;
import brig.testing.faults.points.Matrix;
import brig.testing.faults.points.Stage;
import java.time.Duration;
import java.util.List;
import java.util.function.Function;

/**
 * The program behind {@code scripts/faults --points}. Its exit status is 1 if a promise was broken.
 */
public final class PointFaults {

  private PointFaults() {}

  public static void main(String[] arguments) {
    List<String> options = List.of(arguments);
    if (!options.equals(List.of("--points")) && !options.equals(List.of("--points", "--keepers"))) {
      System.err.println("faults: --points goes alone, or with --keepers behind it (--help)");
      System.exit(2);
    }
    Settings settings = Settings.fromProperties();
    boolean kept =
        options.contains("--keepers")
            ? play(settings, "keepers", stage -> Matrix.ofKeeperDeaths(stage, System.err::println))
            : play(settings, "brigd", stage -> Matrix.ofDaemonDeaths(stage, System.err::println));
    System.exit(kept ? 0 : 1);
  }

  private static boolean play(Settings settings, String victim, Function<Stage, Matrix> faults) {
    long begin = System.nanoTime();
    Grid grid;
    try (Stage stage = Stage.set(settings, settings.versions().getFirst())) {
      grid = faults.apply(stage).play();
    }
    System.out.print(grid);
    grid.problems().forEach(problem -> System.out.println("BROKEN: " + problem));
    System.out.printf(
        "%s killed %d times at %d points in %d s: %d promises broken%n%n",
        victim,
        grid.kills(),
        grid.points(),
        Duration.ofNanos(System.nanoTime() - begin).toSeconds(),
        grid.problems().size());
    return grid.problems().isEmpty();
  }
}
