package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Processes;
import brig.testing.proto.task.Status;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/**
 * What ends while containerd is away keeps its exit. containerd 1.7 and 2.1 throw the runc shim's
 * containers away then: that shim names no process for a container that has ended.
 */
@EachContainerd
@OnlyBrig
class RestartKeepsExitsTest extends OwnContainerd {

  RestartKeepsExitsTest(Containerd shared) {
    super(shared);
  }

  @Test
  void anExitDuringTheDowntimeIsKept() throws IOException {
    TestContainer container = container("sh", "-c", "read x; echo last words; exit 21");
    Stdio stdio = Stdio.interactive();
    TestProcess init = container.start(stdio);
    containerd.stop();
    try (var stdin = stdio.openStdin()) {
      stdin.write('\n');
      Eventually.holds("it has ended", () -> !Processes.alive(init.pid()));
    }
    containerd.startAgain();
    assertThat(container.status()).isEqualTo(Status.STOPPED);
    assertThat(init.await().status()).isEqualTo(21);
    assertThat(init.delete().status()).isEqualTo(21);
    assertThat(stdio.stdout()).isEqualTo("last words\n");
  }

  @Test
  void anExitWhileContainerdAndBrigdAreAwayIsKept() throws IOException {
    TestContainer container = container("sh", "-c", "read x; exit 22");
    Stdio stdio = Stdio.interactive();
    TestProcess init = container.start(stdio);
    containerd.kill();
    containerd.brig().stop();
    try (var stdin = stdio.openStdin()) {
      stdin.write('\n');
      Eventually.holds("it has ended", () -> !Processes.alive(init.pid()));
    }
    containerd.startAgain();
    assertThat(init.await().status()).isEqualTo(22);
    assertThat(init.delete().status()).isEqualTo(22);
  }
}
