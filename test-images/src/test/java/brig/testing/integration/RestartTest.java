package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Processes;
import brig.testing.proto.task.Status;
import org.junit.jupiter.api.Test;

/** Containers live on while containerd is replaced. */
@EachContainerd
class RestartTest extends OwnContainerd {

  RestartTest(Containerd shared) {
    super(shared);
  }

  @Test
  void aRunningContainerOutlivesTheDaemonsRestart() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    containerd.stop();
    assertThat(Processes.alive(init.pid())).isTrue();
    containerd.startAgain();
    assertThat(container.status()).isEqualTo(Status.RUNNING);
    assertThat(init.state().getPid()).isEqualTo(init.pid());
    assertThat(exec(container, "echo", "still served").stdout()).isEqualTo("still served\n");
    init.signal(9);
    assertThat(init.await().status()).isEqualTo(137);
    assertThat(init.delete().status()).isEqualTo(137);
  }

  @Test
  void aContainerOutlivesTheDaemonsDeath() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    containerd.kill();
    containerd.startAgain();
    assertThat(container.status()).isEqualTo(Status.RUNNING);
    init.signal(15);
    init.signal(9);
    assertThat(init.await().status()).isEqualTo(137);
  }

  @Test
  void outputGoesOnArrivingMeanwhileAndAfterwards() {
    TestContainer container =
        container(
            "sh",
            "-c",
            "i=0; while [ $i -lt 100 ]; do echo line $i; i=$((i+1)); usleep 20000; done; exit 8");
    TestProcess init = container.start();
    init.stdio().awaitStdout("line 3\n");
    containerd.stop();
    init.stdio().awaitStdout("line 20\n");
    containerd.startAgain();
    assertThat(init.await().status()).isEqualTo(8);
    assertThat(init.stdio().stdout().lines()).hasSize(100).endsWith("line 99");
  }

  @Test
  void aPausedContainerStaysPaused() {
    TestContainer container = sleeping();
    container.start();
    container.pause();
    containerd.stop();
    containerd.startAgain();
    assertThat(container.status()).isEqualTo(Status.PAUSED);
    container.resume();
    assertThat(exec(container, "echo", "goes on").stdout()).isEqualTo("goes on\n");
  }

  @Test
  void anExecOutlivesTheRestartToo() {
    TestContainer container = sleeping();
    container.start();
    TestProcess process =
        container
            .exec(
                "long",
                container.spec().execProcess("sh", "-c", "echo before; sleep 600"),
                Stdio.captured())
            .start();
    process.stdio().awaitStdout("before");
    containerd.stop();
    containerd.startAgain();
    assertThat(process.status()).isEqualTo(Status.RUNNING);
    process.signal(9);
    assertThat(process.await().status()).isEqualTo(137);
  }
}
