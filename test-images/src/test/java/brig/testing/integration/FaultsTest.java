package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.faults.Ledger;
import brig.testing.faults.Storm;
import java.time.Duration;
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
    long seed = ThreadLocalRandom.current().nextLong(1_000_000);
    Ledger ledger = new Storm(seed, 100, 5, Duration.ofMillis(1000)).pass(containerd);
    assertThat(ledger.problems()).as("promises broken, seed %d", seed).isEmpty();
    assertThat(ledger.faults()).as("kills").isPositive();
  }
}
