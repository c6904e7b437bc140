package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import brig.testing.proto.task.Status;
import brig.testing.proto.tasks.WaitResponse;
import com.google.common.util.concurrent.ListenableFuture;
import io.grpc.Status.Code;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Test;

/** A task's states, and what each call does in each of them. */
@EachContainerd
class LifecycleTest extends ClientTest {

  LifecycleTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void aCreatedTaskHasItsInitButRunsNothing() {
    TestContainer container = container("sh", "-c", "echo ran");
    TestProcess init = container.create();
    assertThat(init.pid()).isPositive();
    assertThat(Processes.alive(init.pid())).isTrue();
    assertThat(container.status()).isEqualTo(Status.CREATED);
    assertThat(init.stdio().seen()).isEmpty();
    // Networks are set up through this path between create and start.
    assertThat(init.proc().namespace("net")).startsWith("net:");
    init.start();
    assertThat(init.await().status()).isZero();
    assertThat(init.stdio().stdout()).isEqualTo("ran\n");
  }

  @Test
  void aWaitSentBeforeStartHearsTheExit() {
    TestContainer container = container("sh", "-c", "exit 42");
    TestProcess init = container.create();
    ListenableFuture<WaitResponse> wait = init.exitAhead();
    init.start();
    assertThat(TestProcess.await(wait).status()).isEqualTo(42);
  }

  @Test
  void severalWaitersHearTheSameExit() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    ListenableFuture<WaitResponse> one = init.exitAhead();
    ListenableFuture<WaitResponse> other = init.exitAhead();
    init.signal(9);
    Exit first = TestProcess.await(one);
    assertThat(first.status()).isEqualTo(137);
    assertThat(TestProcess.await(other)).isEqualTo(first);
    // A waiter who comes late, too; and deletion tells the same.
    assertThat(init.await()).isEqualTo(first);
    assertThat(init.delete()).isEqualTo(first);
  }

  @Test
  void aStoppedTaskKeepsItsPidAndExitUntilItIsDeleted() {
    TestContainer container = container("sh", "-c", "exit 3");
    TestProcess init = container.start();
    init.await();
    var state = init.state();
    assertThat(state.getStatus()).isEqualTo(Status.STOPPED);
    assertThat(state.getPid()).isEqualTo(init.pid());
    assertThat(state.getExitStatus()).isEqualTo(3);
    assertThat(state.getExitedAt().getSeconds()).isPositive();
    assertThat(init.delete().status()).isEqualTo(3);
    assertThat(container.hasTask()).isFalse();
  }

  @Test
  void aCreatedTaskIsDeletedByItsKill() {
    TestContainer container = sleeping();
    TestProcess init = container.create();
    ListenableFuture<WaitResponse> wait = init.exitAhead();
    init.signal(9);
    assertThat(TestProcess.await(wait).status()).isEqualTo(137);
    init.delete();
    assertThat(container.hasTask()).isFalse();
    assertThat(Processes.exists(init.pid())).isFalse();
  }

  @Test
  void aCreatedTaskWhoseInitIsKilledIsStopped() {
    TestContainer container = sleeping();
    TestProcess init = container.create();
    // As by the kernel for want of memory.
    Processes.signal(init.pid(), Signal.SIGKILL);
    assertThat(init.await().status()).isEqualTo(137);
    assertThat(container.status()).isEqualTo(Status.STOPPED);
    init.delete();
    assertThat(container.hasTask()).isFalse();
  }

  @Test
  void aRunningTaskIsNotDeleted() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    assertThat(Refusals.of(init::delete).getStatus().getCode())
        .isIn(Code.UNKNOWN, Code.FAILED_PRECONDITION);
    assertThat(container.status()).isEqualTo(Status.RUNNING);
  }

  @Test
  void deletionLeavesNothing() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    var group = CgroupsV1.of(init.pid()).directory("memory");
    assertThat(group).isDirectory();
    assertThat(container.bundle()).isDirectory();
    init.signal(9);
    init.await();
    init.delete();
    assertThat(Processes.exists(init.pid())).isFalse();
    assertThat(container.bundle()).doesNotExist();
    assertThat(Mounts.beneath(containerd.state()))
        .noneMatch(mount -> mount.point().contains(container.id()));
    assertThat(group).doesNotExist();
  }

  @Test
  void aDeletedIdCanBeUsedAgainAtOnce() {
    TestContainer container = container("true");
    for (int round = 0; round < 3; round++) {
      TestProcess init = container.start(Stdio.captured());
      assertThat(init.await().status()).isZero();
      init.delete();
    }
  }

  @Test
  void aSignalReachesTheProcess() {
    TestContainer container =
        container(
            "sh", "-c", "trap 'echo heard; exit 9' USR1; echo ready; while :; do sleep 0.05; done");
    TestProcess init = container.start();
    init.stdio().awaitStdout("ready");
    init.signal(10);
    assertThat(init.await().status()).isEqualTo(9);
    assertThat(init.stdio().stdout()).isEqualTo("ready\nheard\n");
  }

  @Test
  void aKillOfAllReachesEveryProcess() {
    TestContainer container =
        container(
            "sh",
            "-c",
            "sleep 601 & sleep 602 & trap '' TERM; echo ready; wait; wait; echo both; sleep 600");
    TestProcess init = container.start();
    init.stdio().awaitStdout("ready");
    init.kill(15, true);
    init.stdio().awaitStdout("both");
    assertThat(container.status()).isEqualTo(Status.RUNNING);
  }

  @Test
  void aKillAfterTheEndSaysNotFound() {
    TestContainer container = container("true");
    TestProcess init = container.start();
    init.await();
    Refusals.with(Code.NOT_FOUND, () -> init.signal(9));
  }

  @Test
  void aSecondStartIsRefused() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    assertThat(Refusals.words(init::start)).isNotEmpty();
    assertThat(container.status()).isEqualTo(Status.RUNNING);
  }

  @Test
  void pauseStopsTheProcessesAndResumeLetsThemGoOn() {
    TestContainer container =
        container("sh", "-c", "i=0; while :; do i=$((i+1)); echo $i; sleep 0.01; done");
    TestProcess init = container.start();
    init.stdio().awaitStdout("3\n");
    container.pause();
    assertThat(container.status()).isEqualTo(Status.PAUSED);
    assertThat(CgroupsV1.of(init.pid()).read("freezer", "freezer.state")).isEqualTo("FROZEN");
    // Frozen: whatever was under way has arrived, and no more comes.
    String last = settled(init);
    container.resume();
    assertThat(container.status()).isEqualTo(Status.RUNNING);
    Eventually.holds("it goes on", () -> init.stdio().seen().length() > last.length());
  }

  private static String settled(TestProcess init) {
    String[] before = {init.stdio().seen()};
    Eventually.holds(
        "no more output comes",
        () -> {
          boolean same =
              !Eventually.within(
                  java.time.Duration.ofMillis(200), () -> !init.stdio().seen().equals(before[0]));
          before[0] = init.stdio().seen();
          return same;
        });
    return before[0];
  }

  @Test
  void nothingIsExecutedInAPausedOrStoppedContainer() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    container.pause();
    assertThat(
            Refusals.of(() ->
                    container
                        .exec("e1", container.spec().execProcess("true"), Stdio.none())
                        .start())
                .getStatus()
                .getCode())
        .isIn(Code.UNKNOWN, Code.FAILED_PRECONDITION);
    container.resume();
    init.signal(9);
    init.await();
    assertThat(
            Refusals.of(() ->
                    container
                        .exec("e2", container.spec().execProcess("true"), Stdio.none())
                        .start())
                .getStatus()
                .getCode())
        .isIn(Code.UNKNOWN, Code.FAILED_PRECONDITION, Code.NOT_FOUND);
  }

  @Test
  void theInitsChildrenEndWithIt() {
    TestContainer container = container("sh", "-c", "sleep 613 & echo started; wait");
    TestProcess init = container.start();
    init.stdio().awaitStdout("started");
    Eventually.holds("the child runs", () -> container.pids().size() == 2);
    int child =
        container.pids().stream()
            .mapToInt(process -> process.getPid())
            .filter(pid -> pid != init.pid())
            .findFirst()
            .orElseThrow();
    init.signal(9);
    init.await();
    assertThat(Processes.alive(child)).isFalse();
  }

  @Test
  void childrenInTheHostsPidNamespaceEndWithTheInitToo() {
    TestContainer container =
        container(
            brig.testing.spec.OciSpec.running("sh", "-c", "sleep 613 & echo started; wait")
                .withoutNamespace("pid"));
    TestProcess init = container.start();
    init.stdio().awaitStdout("started");
    Eventually.holds("the child runs", () -> container.pids().size() == 2);
    int child =
        container.pids().stream()
            .mapToInt(process -> process.getPid())
            .filter(pid -> pid != init.pid())
            .findFirst()
            .orElseThrow();
    init.signal(9);
    init.await();
    Eventually.holds("the child has ended", () -> !Processes.alive(child));
  }

  @Test
  void pidsAreTheContainersAndNoOthers() {
    TestContainer container = container("sh", "-c", "sleep 600 & sleep 600 & echo started; wait");
    TestProcess init = container.start();
    init.stdio().awaitStdout("started");
    Eventually.holds("both children run", () -> container.pids().size() == 3, container::pids);
    assertThat(container.pids()).anyMatch(process -> process.getPid() == init.pid());
    for (var process : container.pids()) {
      assertThat(new brig.testing.kernel.Proc(process.getPid()).namespace("pid"))
          .isEqualTo(init.proc().namespace("pid"));
    }
  }
}
