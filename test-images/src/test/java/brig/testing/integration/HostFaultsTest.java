package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.faults.FaultMachine.Seen;
import brig.testing.faults.Inventory;
import brig.testing.faults.Rule;
import brig.testing.spec.OciSpec;
import io.grpc.StatusRuntimeException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/**
 * What the host refuses, at every place where it can: new work is refused in words or done all the
 * same, what runs doesn't feel it, and afterwards everything goes on with the daemon that was
 * there.
 */
@OneContainerd
@OnlyBrig
class HostFaultsTest extends FaultyContainerd {

  /** More system calls of a kind than a life makes. */
  private static final int MOST_CALLS = 2_000;

  private final TestContainer neighbour;
  private final TestProcess itsInit;
  private final int daemon;
  private final Map<String, List<String>> before;

  HostFaultsTest(Containerd shared) {
    super(shared);
    neighbour = sleeping();
    itsInit = neighbour.start();
    daemon = containerd.brig().pid().orElseThrow();
    before = Inventory.of(containerd);
  }

  /** A life with an exec in it; what it was refused with, if it was. */
  private Optional<String> life(TestContainer container) {
    try {
      TestProcess init = container.start();
      assertThat(exec(container, "echo", "inside").stdout()).isEqualTo("inside\n");
      init.signal(9);
      assertThat(init.await().status()).isEqualTo(137);
      assertThat(init.delete().status()).isEqualTo(137);
      return Optional.empty();
    } catch (StatusRuntimeException e) {
      return Optional.of(String.valueOf(e.getStatus().getDescription()));
    }
  }

  /** The same under a rule, and what the rule met. */
  private Met lifeUnder(Rule rule) {
    try (TestContainer container = client.container(OciSpec.running("sleep", "600"))) {
      machine.arm(rule);
      Optional<String> refusal;
      Seen seen;
      try {
        refusal = life(container);
      } finally {
        seen = machine.disarm();
      }
      return new Met(seen, refusal);
    }
  }

  private record Met(Seen seen, Optional<String> refusal) {}

  private void nobodyFeltIt(String fault) {
    assertThat(itsInit.state().getPid()).as("pid after %s", fault).isEqualTo(itsInit.pid());
    assertThat(exec(neighbour, "echo", "unharmed").stdout()).as(fault).isEqualTo("unharmed\n");
    try (TestContainer next = client.container(OciSpec.running("sleep", "600"))) {
      assertThat(life(next)).as("the next life after %s", fault).isEmpty();
    }
    assertThat(Inventory.leftBehind(containerd, before)).as("left after %s", fault).isEmpty();
    assertThat(containerd.brig().pid()).as("brigd after %s", fault).hasValue(daemon);
  }

  /** The same life again and again, in which one call after the other is the first to fail. */
  private void eachInTurn(Rule rule, String cause) {
    for (int call = 1; call <= MOST_CALLS; call++) {
      Met met = lifeUnder(rule.from(call));
      String fault = call + ": " + met;
      met.refusal().ifPresent(words -> assertThat(words).as(fault).containsIgnoringCase(cause));
      nobodyFeltIt(fault);
      if (met.seen().met() == 0) {
        assertThat(call).as("calls of a life that need it").isGreaterThan(10);
        return;
      }
    }
    throw new AssertionError("a life has no end of such calls");
  }

  @Test
  void eachWriteMayFindNoRoom() {
    eachInTurn(Rule.noRoom(containerd.directory()).once(), "no space left on device");
  }

  @Test
  void fromEachWriteOnThereMayBeNoRoom() {
    eachInTurn(Rule.noRoom(containerd.directory()), "no space left on device");
  }

  @Test
  void fromEachWriteOnTheFileSystemMayBeReadOnly() {
    eachInTurn(Rule.readOnly(containerd.directory()), "read-only file system");
  }
}
