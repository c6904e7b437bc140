package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.runc.ProcessDetails;
import brig.proto.containerd.task.DeleteResponse;
import brig.proto.containerd.task.PauseRequest;
import brig.proto.containerd.task.PidsRequest;
import brig.proto.containerd.task.PidsResponse;
import brig.proto.containerd.task.ResumeRequest;
import brig.proto.containerd.task.ShutdownRequest;
import brig.proto.containerd.task.StartResponse;
import brig.proto.containerd.task.StateResponse;
import brig.proto.containerd.task.StatsRequest;
import brig.proto.containerd.task.StatsResponse;
import brig.proto.containerd.task.UpdateTaskRequest;
import brig.proto.containerd.task.WaitResponse;
import brig.proto.containerd.v1.types.ProcessInfo;
import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.Event;
import brig.proto.keeper.OomNotice;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import com.google.protobuf.Any;
import io.grpc.Status.Code;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** A container's life, call by call, with a keeper that is played. */
class TaskLifecycleTest extends TaskTest {
  private static final int ESRCH = 3;

  @Test
  void aContainerGoesFromCreationToDeletionAndItsEventsComeInOrder() throws Exception {
    assertThat(created("c1").getPid()).isEqualTo(1001);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.CREATED);
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", ""));

    assertThat(StartResponse.parseFrom(ok("Start", Scripts.start("c1", ""))).getPid())
        .isEqualTo(1001);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.RUNNING);
    assertThat(waiting).isNotDone();

    exits("c1", "", 1001, 3);
    WaitResponse waited = WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload());
    StateResponse stopped = state("c1", "");
    DeleteResponse deleted = DeleteResponse.parseFrom(ok("Delete", Scripts.delete("c1", "")));

    assertThat(stopped.getStatus()).isEqualTo(Status.STOPPED);
    assertThat(List.of(waited.getExitStatus(), stopped.getExitStatus(), deleted.getExitStatus()))
        .containsOnly(3);
    assertThat(List.of(waited.getExitedAt(), stopped.getExitedAt(), deleted.getExitedAt()))
        .containsOnly(waited.getExitedAt());
    assertThat(deleted.getPid()).isEqualTo(1001);
    assertThat(keeper.topics())
        .containsExactly("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
    assertThat(keeper.records()).isEmpty();
    assertThat(refused("Delete", Scripts.delete("c1", ""))).isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void anEventNamesItsTypeBare() throws Exception {
    created("c1");
    assertThat(keeper.events())
        .singleElement()
        .extracting(Event::getTypeUrl)
        .isEqualTo("containerd.events.TaskCreate");
  }

  @Test
  void aWaitAfterTheExitReturnsAtOnceAndMayBeAskedOften() throws Exception {
    running("c1");
    exits("c1", "", 1001, 137);
    for (int i = 0; i < 3; i++) {
      WaitResponse waited = WaitResponse.parseFrom(ok("Wait", Scripts.wait("c1", "")));
      assertThat(waited.getExitStatus()).isEqualTo(137);
    }
  }

  @Test
  void aSecondNoticeOfAnExitTellsNobodyAnything() throws Exception {
    running("c1");
    exits("c1", "", 1001, 1);
    exits("c1", "", 1001, 2);
    assertThat(keeper.topics()).containsOnlyOnce("/tasks/exit");
    assertThat(state("c1", "").getExitStatus()).isEqualTo(1);
  }

  @Test
  void aCreatedContainerIsKilledByItsDeletion() throws Exception {
    created("c1");
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", ""));
    DeleteResponse deleted = DeleteResponse.parseFrom(ok("Delete", Scripts.delete("c1", "")));
    assertThat(deleted.getExitStatus()).isEqualTo(137);
    WaitResponse waited = WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload());
    assertThat(waited.getExitStatus()).isEqualTo(137);
    assertThat(waited.getExitedAt()).isEqualTo(deleted.getExitedAt());
    assertThat(keeper.topics()).containsExactly("/tasks/create", "/tasks/exit", "/tasks/delete");
  }

  @Test
  void aRunningContainerIsNotDeleted() throws Exception {
    running("c1");
    Reply reply = FakeKeeper.await(keeper.task("Delete", Scripts.delete("c1", "")));
    assertThat(code(reply)).isEqualTo(Code.UNKNOWN);
    assertThat(reply.getMessage()).contains("cannot delete a running process");
  }

  @Test
  void signalsGoThroughWhileTheProcessLivesAndNoLonger() throws Exception {
    created("c1");
    ok("Kill", Scripts.kill("c1", "", 15));
    ok("Start", Scripts.start("c1", ""));
    ok("Kill", Scripts.kill("c1", "", 15));
    assertThat(refused("Kill", Scripts.kill("c1", "e1", 15))).isEqualTo(Code.NOT_FOUND);
    ok("Exec", Scripts.exec("c1", "e1"));
    assertThat(refused("Kill", Scripts.kill("c1", "e1", 15))).isEqualTo(Code.FAILED_PRECONDITION);
    failing(Step.ActionCase.SIGNAL, Scripts.failure("signal", "c1", ESRCH, ""));
    assertThat(refused("Kill", Scripts.kill("c1", "", 15))).isEqualTo(Code.NOT_FOUND);
    exits("c1", "", 1001, 0);
    assertThat(refused("Kill", Scripts.kill("c1", "", 9))).isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void pidsNamesExecsAndNeverForgetsInit() throws Exception {
    created("c1");
    ok("Start", Scripts.start("c1", ""));
    ok("Exec", Scripts.exec("c1", "e1"));
    ok("Start", Scripts.start("c1", "e1"));
    PidsResponse pids =
        PidsResponse.parseFrom(ok("Pids", PidsRequest.newBuilder().setId("c1").build()));
    assertThat(pids.getProcessesList())
        .extracting(ProcessInfo::getPid)
        .containsExactly(1001, 1002, 4711);
    Any info = pids.getProcesses(1).getInfo();
    assertThat(info.getTypeUrl()).isEqualTo("containerd.runc.v1.ProcessDetails");
    assertThat(ProcessDetails.parseFrom(info.getValue()).getExecId()).isEqualTo("e1");

    exits("c1", "", 1001, 0);
    pids = PidsResponse.parseFrom(ok("Pids", PidsRequest.newBuilder().setId("c1").build()));
    assertThat(pids.getProcessesList()).extracting(ProcessInfo::getPid).containsExactly(1001);
  }

  @Test
  void aPausedContainerIsPausedInAllItsProcessesUntilItIsResumed() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    ok("Start", Scripts.start("c1", "e1"));
    ok("Pause", PauseRequest.newBuilder().setId("c1").build());
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.PAUSED);
    assertThat(state("c1", "e1").getStatus()).isEqualTo(Status.PAUSED);
    assertThat(refused("Exec", Scripts.exec("c1", "e2"))).isEqualTo(Code.UNKNOWN);
    assertThat(refused("Pause", PauseRequest.newBuilder().setId("c1").build()))
        .isEqualTo(Code.UNKNOWN);
    ok("Resume", ResumeRequest.newBuilder().setId("c1").build());
    assertThat(state("c1", "e1").getStatus()).isEqualTo(Status.RUNNING);
    assertThat(keeper.topics()).endsWith("/tasks/paused", "/tasks/resumed");
  }

  @Test
  void limitsAreChangedByWritesBeneathTheContainersCgroup() throws Exception {
    running("c1");
    ok(
        "Update",
        UpdateTaskRequest.newBuilder()
            .setId("c1")
            .setResources(Scripts.memoryLimit(1 << 26))
            .build());
    assertThat(keeper.carriedOut().getLast().getCgroup().getWritesList())
        .anySatisfy(write -> {
          assertThat(write.getPath()).isEqualTo("/sys/fs/cgroup/default/c1/memory.max");
          assertThat(write.getValue()).isEqualTo("67108864");
        });
  }

  @Test
  void statsSayNoLimitAsTheGreatestNumberAndNothingForTheDead() throws Exception {
    running("c1");
    StatsRequest request = StatsRequest.newBuilder().setId("c1").build();
    Any stats = StatsResponse.parseFrom(ok("Stats", request)).getStats();
    assertThat(stats.getTypeUrl()).isEqualTo("io.containerd.cgroups.v2.Metrics");
    exits("c1", "", 1001, 0);
    assertThat(refused("Stats", request)).isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void outOfMemoryIsToldBeforeTheExit() throws Exception {
    running("c1");
    FakeKeeper.await(
        keeper.notice("OomKilled", OomNotice.newBuilder().setContainerId("c1").build()));
    exits("c1", "", 1001, 137);
    assertThat(keeper.topics()).endsWith("/tasks/oom", "/tasks/exit");
  }

  @Test
  void aPodShutsDownOnlyWhenItIsEmpty() throws Exception {
    ShutdownRequest request = ShutdownRequest.newBuilder().setId("c1").build();
    created("c1");
    assertThat(FakeKeeper.await(keeper.task("Shutdown", request)).getShutdown()).isFalse();
    ok("Delete", Scripts.delete("c1", ""));
    Reply reply = FakeKeeper.await(keeper.task("Shutdown", request));
    assertThat(reply.getShutdown()).isTrue();
    assertThat(reply.getCode()).isZero();
  }
}
