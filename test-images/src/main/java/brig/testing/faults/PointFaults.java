package brig.testing.faults;

import brig.testing.Settings;
import brig.testing.faults.points.Grid;
import brig.testing.faults.points.Matrix;
import brig.testing.faults.points.Stage;
import java.time.Duration;

/**
 * The program behind {@code scripts/faults --points}. Its exit status is 1 if a promise was broken.
 */
public final class PointFaults {

  private PointFaults() {}

  public static void main(String[] arguments) {
    Settings settings = Settings.fromProperties();
    long begin = System.nanoTime();
    Grid grid;
    try (Stage stage = Stage.set(settings, settings.versions().getFirst())) {
      grid = Matrix.ofDaemonDeaths(stage, System.err::println).play();
    }
    System.out.print(grid);
    grid.problems().forEach(problem -> System.out.println("BROKEN: " + problem));
    System.out.printf(
        "%d s: brigd killed %d times at %d points, %d of them otherwise than undisturbed%n",
        Duration.ofNanos(System.nanoTime() - begin).toSeconds(),
        grid.kills(),
        grid.points(),
        grid.problems().size());
    System.exit(grid.problems().isEmpty() ? 0 : 1);
  }
}
