package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.faults.points.Grid;
import brig.testing.faults.points.Matrix;
import brig.testing.faults.points.Stage;
import org.junit.jupiter.api.Test;

/**
 * Keepers killed between each two things that happen in a call. The ids of their pods become free
 * after a while, which is waited for.
 */
@OneContainerd
@OnlyBrig
class KeeperPointsTest extends TidyTest {

  private final Stage stage;

  KeeperPointsTest(Containerd shared) {
    this.stage = keep(Stage.set(shared.settings(), shared.version()));
  }

  @Test
  void aKeeperKilledAnywhereInACallEndsItsPodAlone() {
    Grid grid = Matrix.ofKeeperDeaths(stage, line -> {}).play();
    assertThat(grid.problems()).isEmpty();
    assertThat(grid.points()).as("calls under way at a kill").isGreaterThan(100);
  }
}
