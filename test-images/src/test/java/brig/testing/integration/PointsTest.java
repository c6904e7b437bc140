package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.faults.points.Grid;
import brig.testing.faults.points.Matrix;
import brig.testing.faults.points.Stage;
import org.junit.jupiter.api.Test;

/**
 * Kills between each two things that happen in a call; {@code scripts/faults --points} prints them.
 */
@EachContainerd
@OnlyBrig
class PointsTest extends TidyTest {

  private final Stage stage;

  PointsTest(Containerd shared) {
    this.stage = keep(Stage.set(shared.settings(), shared.version()));
  }

  @Test
  void aDaemonKilledAnywhereInACallChangesNothingOfWhatComesOfIt() {
    Grid grid = Matrix.ofDaemonDeaths(stage, line -> {}).play();
    assertThat(grid.problems()).isEmpty();
    assertThat(grid.points()).as("calls under way at a kill").isGreaterThan(200);
  }
}
