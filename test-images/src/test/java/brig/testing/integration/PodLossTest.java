package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Eventually;
import brig.testing.cri.CriEvents;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Processes;
import brig.testing.proto.cri.ContainerEventType;
import brig.testing.proto.cri.ContainerState;
import brig.testing.proto.cri.PodSandboxState;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Pods outlive containerd and brigd, as kubelet sees them; the loss of a keeper is told. */
@EachContainerd
@OnlyBrig
class PodLossTest extends CriTest {

  PodLossTest(Containerd shared) {
    super(Containerd.start(shared.settings(), shared.version()));
  }

  @BeforeEach
  void closeContainerdLast() {
    keep(containerd);
  }

  private static PodContainer ticking(Pod pod) {
    return pod.start("sh", "-c", "trap 'exit 5' TERM; while :; do echo tick; sleep 0.2; done");
  }

  private static void awaitMoreOf(PodContainer container) {
    int before = container.log().size();
    Eventually.holds("the log goes on", () -> container.log().size() > before);
  }

  @Test
  void podsGoOnWhileContainerdIsRestarted() {
    Pod pod = pod();
    PodContainer container = ticking(pod);
    PodContainer ended = pod.start("sh", "-c", "exit 4");
    assertThat(ended.ended().getExitCode()).isEqualTo(4);
    int init = container.proc().pid();
    int pause = pod.proc().pid();
    containerd.stop();
    containerd.startAgain();
    cri.awaitReady();
    assertThat(pod.status().getState()).isEqualTo(PodSandboxState.SANDBOX_READY);
    assertThat(container.status().getState()).isEqualTo(ContainerState.CONTAINER_RUNNING);
    assertThat(container.proc().pid()).isEqualTo(init);
    assertThat(pod.proc().pid()).isEqualTo(pause);
    assertThat(ended.status().getExitCode()).isEqualTo(4);
    awaitMoreOf(container);
    assertThat(container.sh("echo served")).isEqualTo("served");
    assertThat(pod.sleeping().sh("echo a new one too")).isEqualTo("a new one too");
    container.stop(30);
    assertThat(container.status().getExitCode()).isEqualTo(5);
  }

  @Test
  void whatEndedWithoutContainerdIsToldByTheNext() {
    Pod pod = pod();
    PodContainer container = pod.sleeping();
    int init = container.proc().pid();
    containerd.kill();
    Processes.signal(init, Signal.SIGKILL);
    Eventually.holds("it is dead", () -> !Processes.alive(init));
    containerd.startAgain();
    cri.awaitReady();
    assertThat(container.ended().getExitCode()).isEqualTo(137);
    assertThat(pod.status().getState()).isEqualTo(PodSandboxState.SANDBOX_READY);
  }

  @Test
  void podsDoNotNoticeTheLossOfBrigd() {
    Pod pod = pod();
    PodContainer container = ticking(pod);
    int brigd = containerd.brig().pid().orElseThrow();
    Processes.signal(brigd, Signal.SIGKILL);
    Eventually.holds("brigd is dead", () -> !Processes.alive(brigd));
    awaitMoreOf(container);
    assertThat(container.sh("echo served")).isEqualTo("served");
    assertThat(container.stats().getMemory().getWorkingSetBytes().getValue()).isPositive();
    PodContainer next = pod.sleeping();
    assertThat(next.proc().namespace("net")).isEqualTo(container.proc().namespace("net"));
    assertThat(next.proc().namespace("user")).isEqualTo(container.proc().namespace("user"));
    container.stop(30);
    assertThat(container.status().getExitCode()).isEqualTo(5);
    assertThat(containerd.brig().pid().orElseThrow()).isNotEqualTo(brigd);
  }

  @Test
  void aLostKeeperIsAnEndOfItsPodAlone() {
    Pod pod = pod();
    PodContainer container = pod.sleeping();
    PodContainer other = pod().sleeping();
    int keeper = Processes.parent(pod.proc().pid());
    int init = container.proc().pid();
    Processes.signal(keeper, Signal.SIGKILL);
    Eventually.holds("its processes are gone", () -> !Processes.alive(init));
    // CRI's own wait broke off: it says that it doesn't know.
    assertThat(container.ended().getExitCode()).isEqualTo(255);
    Eventually.holds(
        "the pod is not ready", () -> pod.status().getState() == PodSandboxState.SANDBOX_NOTREADY);
    assertThat(other.sh("echo unharmed")).isEqualTo("unharmed");
    pod.close();
  }

  @Test
  void aPausesEndMakesThePodNotReady() {
    Pod pod = pod();
    PodContainer container = pod.sleeping();
    Processes.signal(pod.proc().pid(), Signal.SIGKILL);
    Eventually.holds(
        "the pod is not ready", () -> pod.status().getState() == PodSandboxState.SANDBOX_NOTREADY);
    assertThat(container.status().getState()).isEqualTo(ContainerState.CONTAINER_RUNNING);
  }

  @Test
  void lifecycleEventsAreToldInOrder() {
    if (!containerd.version().atLeast(ContainerdVersion.V1_7)) {
      CriEvents none = keep(new CriEvents(cri));
      Eventually.holds("containerd 1.6 has no such call", none::isOver);
      return;
    }
    CriEvents events = keep(new CriEvents(cri));
    Pod pod = pod();
    PodContainer container = pod.create("true");
    container.start().ended();
    events.until(container.id(), ContainerEventType.CONTAINER_STOPPED_EVENT);
    container.remove();
    assertThat(events.until(container.id(), ContainerEventType.CONTAINER_DELETED_EVENT))
        .containsExactly(
            ContainerEventType.CONTAINER_CREATED_EVENT,
            ContainerEventType.CONTAINER_STARTED_EVENT,
            ContainerEventType.CONTAINER_STOPPED_EVENT,
            ContainerEventType.CONTAINER_DELETED_EVENT);
  }
}
