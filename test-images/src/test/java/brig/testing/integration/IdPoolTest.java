package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.BrigDaemon;
import brig.testing.Containerd;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import org.junit.jupiter.api.Test;

/** A pool of ids that has room for two pods. */
@OneContainerd
@OnlyBrig
class IdPoolTest extends OwnContainerd {

  IdPoolTest(Containerd shared) {
    super(shared, "ids_per_pod = " + BrigDaemon.IDS / 2 + "\n");
  }

  @Test
  void aThirdPodIsRefusedUntilOneOfTheTwoIsGone() {
    TestProcess first = sleeping().start();
    TestProcess second = sleeping().start();
    TestContainer third = sleeping();
    assertThat(Refusals.words(third::create)).contains("ids", "pool_size");
    first.signal(9);
    first.await();
    first.delete();
    var ids = third.start().proc().uidMap().getFirst();
    assertThat(ids.overlaps(second.proc().uidMap().getFirst())).isFalse();
  }

  @Test
  void oneAfterTheOtherAsManyRunAsOneLikes() {
    for (int i = 0; i < 5; i++) {
      TestContainer container = container("true");
      assertThat(container.run(Stdio.none()).status()).isZero();
      container.delete();
    }
  }
}
