package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.faults.Growth;
import brig.testing.faults.Ledger;
import brig.testing.faults.Soak;
import brig.testing.faults.Storm;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;
import org.junit.jupiter.api.Test;

/** Lives under faults; {@code scripts/faults} does the same at length. */
@EachContainerd
@OnlyBrig
class FaultsTest extends OwnContainerd {

  FaultsTest(Containerd shared) {
    super(shared);
  }

  @Test
  void aHundredLivesLoseNothingWhileTheirDaemonIsKilledAgainAndAgain() {
    assertThat(pass(100, Optional.empty()).faults()).as("kills of brigd").isPositive();
  }

  @Test
  void livesLoseNothingWhileContainerdIsKilledAsWell() {
    Ledger ledger = pass(50, Optional.of(Duration.ofMillis(700)));
    assertThat(ledger.restarts()).as("kills of containerd").isPositive();
  }

  @Test
  void threeHundredLivesLeaveTheHostAsItWas() {
    Soak.Outcome outcome = new Soak(7, 300, 5).pass(containerd);
    assertThat(outcome.problems()).isEmpty();
    assertThat(outcome.rows()).as("what grew").allMatch(Growth::isAllowed);
  }

  private Ledger pass(int lives, Optional<Duration> containerdPause) {
    long seed = ThreadLocalRandom.current().nextLong(1_000_000);
    Duration pause = Duration.ofMillis(1500);
    Ledger ledger = new Storm(seed, lives, 5, pause, containerdPause).pass(containerd);
    assertThat(ledger.problems()).as("promises broken, seed %d", seed).isEmpty();
    return ledger;
  }
}
