package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.events.TaskExit;
import brig.proto.containerd.runc.ProcessDetails;
import brig.proto.containerd.task.CheckpointTaskRequest;
import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.ConnectResponse;
import brig.proto.containerd.task.CreateTaskResponse;
import brig.proto.containerd.task.DeleteResponse;
import brig.proto.containerd.task.ExecProcessRequest;
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
import brig.proto.keeper.AfterExec;
import brig.proto.keeper.Done;
import brig.proto.keeper.Event;
import brig.proto.keeper.OomNotice;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.sandbox.BrigException;
import brig.shim.relay.KeeperConnection;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import io.grpc.Status.Code;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class TaskLifecycleTest {
  private static final int ENOENT = 2;
  private static final int ESRCH = 3;
  private static final int EBUSY = 16;

  @TempDir Path run;

  private Brigd brigd;
  private FakeKeeper keeper;
  private volatile Function<Step, StepResult> script = Scripts.succeeding();

  @BeforeEach
  void startDaemon() throws IOException, BrigException {
    brigd = new Brigd(run);
    keeper = new FakeKeeper(brigd.socket(), Scripts.host(), step -> script.apply(step));
  }

  @AfterEach
  void stopDaemon() throws IOException {
    keeper.close();
    brigd.close();
  }

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
  void waitsThatNobodyWaitsForAnyMoreMakeRoomForOthers() throws Exception {
    running("c1");
    for (int i = 0; i < KeeperConnection.MAX_REQUESTS; i++) {
      keeper.task("Wait", Scripts.wait("c1", ""));
    }
    assertThat(refused("State", Scripts.stateRequest("c1", ""))).isEqualTo(Code.RESOURCE_EXHAUSTED);

    assertThat(keeper.cancelAll("Wait")).isEqualTo(KeeperConnection.MAX_REQUESTS);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.RUNNING);
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", ""));
    exits("c1", "", 1001, 3);
    assertThat(WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload()).getExitStatus())
        .isEqualTo(3);
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
  void anExecRunsAndEndsWithinItsContainer() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    assertThat(state("c1", "e1").getStatus()).isEqualTo(Status.CREATED);
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", "e1"));
    assertThat(StartResponse.parseFrom(ok("Start", Scripts.start("c1", "e1"))).getPid())
        .isEqualTo(1002);
    assertThat(state("c1", "e1").getPid()).isEqualTo(1002);
    assertThat(state("c1", "e1").getStatus()).isEqualTo(Status.RUNNING);

    exits("c1", "e1", 1002, 7);
    assertThat(WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload()).getExitStatus())
        .isEqualTo(7);
    assertThat(DeleteResponse.parseFrom(ok("Delete", Scripts.delete("c1", "e1"))).getExitStatus())
        .isEqualTo(7);
    assertThat(refused("State", Scripts.stateRequest("c1", "e1"))).isEqualTo(Code.NOT_FOUND);
    assertThat(keeper.topics())
        .containsExactly(
            "/tasks/create",
            "/tasks/start",
            "/tasks/exec-added",
            "/tasks/exec-started",
            "/tasks/exit");
    assertThat(keeper.records().values())
        .singleElement()
        .matches(record -> record.getProcessesCount() == 1);
  }

  @Test
  void anExecsExitIsToldBeforeInits() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    ok("Start", Scripts.start("c1", "e1"));
    CompletableFuture<Reply> execNotice = notice("c1", "e1", 1002, 9);
    CompletableFuture<Reply> initNotice = notice("c1", "", 1001, 9);
    FakeKeeper.await(execNotice);
    FakeKeeper.await(initNotice);
    List<Event> exits =
        keeper.events().stream().filter(e -> e.getTopic().equals("/tasks/exit")).toList();
    assertThat(TaskExit.parseFrom(exits.get(0).getValue()).getId()).isEqualTo("e1");
    assertThat(TaskExit.parseFrom(exits.get(1).getValue()).getId()).isEqualTo("c1");
  }

  @Test
  void anExecIdIsTakenOnce() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    assertThat(refused("Exec", Scripts.exec("c1", "e1"))).isEqualTo(Code.ALREADY_EXISTS);
  }

  @Test
  void anExecThatWasNeverStartedIsDeletedWithStatusZero() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", "e1"));
    assertThat(DeleteResponse.parseFrom(ok("Delete", Scripts.delete("c1", "e1"))).getExitStatus())
        .isZero();
    assertThat(code(FakeKeeper.await(waiting))).isEqualTo(Code.NOT_FOUND);
    assertThat(refused("Delete", Scripts.delete("c1", "e1"))).isEqualTo(Code.NOT_FOUND);
  }

  @Test
  void anExecWhoseStartFailsUnblocksItsWaitersAndSaysWhy() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", "e1"));
    failing(
        Step.ActionCase.EXECUTE,
        Scripts.failure(
            "exec",
            "/bin/nothing",
            ENOENT,
            "exec: \"/bin/nothing\": stat /bin/nothing: no such file or directory"));
    Reply reply = FakeKeeper.await(keeper.task("Start", Scripts.start("c1", "e1")));
    assertThat(code(reply)).isEqualTo(Code.UNKNOWN);
    assertThat(reply.getMessage())
        .isEqualTo("exec: \"/bin/nothing\": stat /bin/nothing: no such file or directory");
    assertThat(WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload()).getExitStatus())
        .isEqualTo(127);
    assertThat(state("c1", "e1").getStatus()).isEqualTo(Status.CREATED);
    ok("Delete", Scripts.delete("c1", "e1"));
  }

  @Test
  void anInitWhoseProgramCannotBeExecutedIsAnErrorAndAnExit() throws Exception {
    created("c1");
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", ""));
    failing(Step.ActionCase.RELEASE, Scripts.failure("exec", "/bin/app", 8, ""));
    Reply reply = FakeKeeper.await(keeper.task("Start", Scripts.start("c1", "")));
    assertThat(code(reply)).isEqualTo(Code.UNKNOWN);
    assertThat(reply.getMessage()).contains("exec format error");
    assertThat(WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload()).getExitStatus())
        .isEqualTo(126);
    exits("c1", "", 1001, 1);
    assertThat(keeper.topics()).containsExactly("/tasks/create", "/tasks/exit");
    assertThat(DeleteResponse.parseFrom(ok("Delete", Scripts.delete("c1", ""))).getExitStatus())
        .isEqualTo(126);
  }

  @Test
  void aFailedCreateUndoesItsStageAndEmitsNothing() throws Exception {
    failing(Step.ActionCase.EXECUTE, Scripts.failure("mount", "/data", 19, ""));
    Reply reply = FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(code(reply)).isEqualTo(Code.UNKNOWN);
    assertThat(reply.getMessage()).isEqualTo("mount: /data: no such device");
    assertThat(reply.getEventsList()).isEmpty();
    assertThat(reply.getPatchesList()).isEmpty();
    assertThat(keeper.carriedOut().getLast().getActionCase()).isEqualTo(Step.ActionCase.ABORT);
    assertThat(refused("State", Scripts.stateRequest("c1", ""))).isEqualTo(Code.NOT_FOUND);
    script = Scripts.succeeding();
    created("c1");
  }

  @Test
  void idsThatAHangingStageHoldsStayThePodsOwnUnderTheNextDaemonToo() throws Exception {
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step ->
            switch (step.getActionCase()) {
              case EXECUTE -> Scripts.failure("mount", "/data", 4, "");
              case ABORT -> Scripts.failure("abort", "stage of c1", EBUSY, "still in state D");
              default -> good.apply(step);
            };
    FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(hasIds()).isTrue();

    keeper.hangs("c1");
    brigd.restart();
    keeper.reconnect();
    script = good;
    failing(Step.ActionCase.EXECUTE, Scripts.failure("mount", "/data", 19, ""));
    FakeKeeper.await(keeper.task("Create", Scripts.create("c2")));
    assertThat(hasIds()).as("though its last container has failed").isTrue();
  }

  @Test
  void idsAreFreedWithTheLastCreateThatFails() throws Exception {
    failing(Step.ActionCase.EXECUTE, Scripts.failure("mount", "/data", 19, ""));
    FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(hasIds()).isFalse();
  }

  /** Whether the table on disk has ids for the pod, by its name in hexadecimal. */
  private boolean hasIds() throws IOException {
    String name = HexFormat.of().formatHex(FakeKeeper.INSTANCE.getBytes(StandardCharsets.UTF_8));
    return Files.readString(run.resolve("ids")).contains(" " + name + " ");
  }

  @Test
  void aKernelThatGrantsMoreThanThePlanEndsTheCreate() throws Exception {
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step -> {
          StepResult result = good.apply(step);
          if (step.getActionCase() != Step.ActionCase.EXECUTE) {
            return result;
          }
          StepResult.Builder changed = result.toBuilder();
          String status = changed.getExecuted().getStatus();
          changed
              .getExecutedBuilder()
              .setStatus(status.replaceAll("CapEff:\\t[0-9a-f]+", "CapEff:\t000001ffffffffff"));
          return changed.build();
        };
    Reply reply = FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(code(reply)).isEqualTo(Code.INTERNAL);
    assertThat(reply.getMessage()).contains("read back: c1").contains("CapEff is 000001ffffffffff");
    assertThat(keeper.carriedOut().getLast().getActionCase()).isEqualTo(Step.ActionCase.ABORT);
  }

  @Test
  void aProgramThatHasMoreThanThePlanAfterItsExecveIsKilledAndTheStartFails() throws Exception {
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step ->
            step.getActionCase() == Step.ActionCase.RELEASE
                ? StepResult.newBuilder()
                    .setDone(
                        Done.newBuilder()
                            .setAfterExec(
                                AfterExec.newBuilder()
                                    .setStatus("CapBnd:\t000001ffffffffff\nNoNewPrivs:\t0\n")))
                    .build()
                : good.apply(step);
    created("c1");
    Reply reply = FakeKeeper.await(keeper.task("Start", Scripts.start("c1", "")));
    assertThat(code(reply)).isEqualTo(Code.INTERNAL);
    assertThat(reply.getMessage())
        .contains("read back: c1")
        .contains("CapBnd is 000001ffffffffff after execve");
    Step last = keeper.carriedOut().getLast();
    assertThat(last.getSignal().getSignal()).isEqualTo(9);
    assertThat(last.getSignal().getAll()).isTrue();
  }

  @Test
  void aDomainThatLetsSomethingOutOfThePodEndsTheCreate() throws Exception {
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step -> {
          StepResult.Builder result = good.apply(step).toBuilder();
          if (step.getActionCase() == Step.ActionCase.EXECUTE) {
            result
                .getExecutedBuilder()
                .getLandlockBuilder()
                .setAbi(6)
                .addTrialsBuilder()
                .setAccess("signal");
          }
          return result.build();
        };
    Reply reply = FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(code(reply)).isEqualTo(Code.INTERNAL);
    assertThat(reply.getMessage()).contains("Landlock allows: signal outside of the pod");
    assertThat(keeper.carriedOut().getLast().getActionCase()).isEqualTo(Step.ActionCase.ABORT);
  }

  @Test
  void aBundleThatVanishedIsToldByName() throws Exception {
    failing(
        Step.ActionCase.READ_FILE,
        StepResult.newBuilder()
            .setFile(brig.proto.keeper.FileContent.getDefaultInstance())
            .build());
    Reply reply = FakeKeeper.await(keeper.task("Create", Scripts.create("c1")));
    assertThat(code(reply)).isEqualTo(Code.FAILED_PRECONDITION);
    assertThat(reply.getMessage()).contains("/run/bundle/c1/config.json");
  }

  @Test
  void anIdThatCouldBeAPathIsRefused() throws Exception {
    for (String id : List.of("", "a/b", "..", "a..b", ".a", "a b", "a\0b")) {
      assertThat(refused("Create", Scripts.create(id))).as(id).isEqualTo(Code.INVALID_ARGUMENT);
    }
    assertThat(keeper.carriedOut()).isEmpty();
  }

  @Test
  void anIdInUseIsRefused() throws Exception {
    created("c1");
    assertThat(refused("Create", Scripts.create("c1"))).isEqualTo(Code.ALREADY_EXISTS);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.CREATED);
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
  void aHangingCreateHoldsUpNoneOfTheQuestions() throws Exception {
    CompletableFuture<Step> stuck = new CompletableFuture<>();
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step -> {
          if (step.getActionCase() == Step.ActionCase.EXECUTE) {
            stuck.complete(step);
            return FakeKeeper.NO_ANSWER;
          }
          return good.apply(step);
        };
    keeper.task("Create", Scripts.create("c1"));
    stuck.get(20, TimeUnit.SECONDS);
    assertThat(refused("State", Scripts.stateRequest("c1", ""))).isEqualTo(Code.NOT_FOUND);
    assertThat(refused("Pids", PidsRequest.newBuilder().setId("c1").build()))
        .isEqualTo(Code.NOT_FOUND);
    assertThat(refused("Wait", Scripts.wait("c1", ""))).isEqualTo(Code.NOT_FOUND);
    assertThat(refused("Kill", Scripts.kill("c1", "", 9))).isEqualTo(Code.NOT_FOUND);
    assertThat(connect("c1").getTaskPid()).isZero();
    Reply shutdown =
        FakeKeeper.await(keeper.task("Shutdown", ShutdownRequest.newBuilder().setId("c1").build()));
    assertThat(shutdown.getShutdown()).isFalse();
    script = good;
    created("c2");
  }

  @Test
  void aHangingCreateIsEndedByADelete() throws Exception {
    CompletableFuture<Void> stuck = new CompletableFuture<>();
    CompletableFuture<StepResult> stage = new CompletableFuture<>();
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step ->
            switch (step.getActionCase()) {
              case EXECUTE -> {
                stuck.complete(null);
                keeper.later(step, stage);
                yield FakeKeeper.NO_ANSWER;
              }
              case ABORT -> {
                stage.complete(Scripts.failure("stage", "c1", 4, "the stage was ended"));
                yield good.apply(step);
              }
              default -> good.apply(step);
            };
    CompletableFuture<Reply> create = keeper.task("Create", Scripts.create("c1"));
    stuck.get(20, TimeUnit.SECONDS);
    assertThat(refused("Delete", Scripts.delete("c1", ""))).isEqualTo(Code.NOT_FOUND);
    assertThat(code(FakeKeeper.await(create))).isEqualTo(Code.UNKNOWN);
    script = good;
    created("c1");
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
  void aWindowSizeAskedForBeforeAnExecsStartIsItsFirst() throws Exception {
    running("c1");
    ok("Exec", Scripts.exec("c1", "e1").toBuilder().setTerminal(true).build());
    ok("ResizePty", Scripts.resize("c1", "e1"));
    ok("Start", Scripts.start("c1", "e1"));
    var plan =
        brig.proto.plan.LaunchPlan.parseFrom(keeper.carriedOut().getLast().getExecute().getPlan());
    assertThat(plan.getExec().getProcess().getConsoleWidth()).isEqualTo(80);
    assertThat(plan.getExec().getProcess().getConsoleHeight()).isEqualTo(24);
    ok("ResizePty", Scripts.resize("c1", "e1"));
    assertThat(keeper.carriedOut().getLast().getResize().getWidth()).isEqualTo(80);
    ok("ResizePty", Scripts.resize("c1", ""));
    assertThat(keeper.carriedOut().getLast().getResize().getExecId()).isEqualTo("e1");
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
  void unknownIdsAreNotFoundExceptForConnectAndShutdown() throws Exception {
    assertThat(connect("nobody").getTaskPid()).isZero();
    assertThat(connect("nobody").getShimPid()).isEqualTo((int) ProcessHandle.current().pid());
    for (var request :
        List.of(
            new Asked("State", Scripts.stateRequest("nobody", "")),
            new Asked("Start", Scripts.start("nobody", "")),
            new Asked("Delete", Scripts.delete("nobody", "")),
            new Asked("Kill", Scripts.kill("nobody", "", 9)),
            new Asked("Exec", Scripts.exec("nobody", "e1")),
            new Asked("Pids", PidsRequest.newBuilder().setId("nobody").build()),
            new Asked("Pause", PauseRequest.newBuilder().setId("nobody").build()),
            new Asked("Resume", ResumeRequest.newBuilder().setId("nobody").build()),
            new Asked("Update", UpdateTaskRequest.newBuilder().setId("nobody").build()),
            new Asked("ResizePty", Scripts.resize("nobody", "")),
            new Asked("Wait", Scripts.wait("nobody", "")),
            new Asked("Stats", StatsRequest.newBuilder().setId("nobody").build()),
            new Asked("Checkpoint", CheckpointTaskRequest.newBuilder().setId("nobody").build()))) {
      assertThat(refused(request.method, request.message))
          .as(request.method)
          .isEqualTo(Code.NOT_FOUND);
    }
    exits("nobody", "", 1, 0);
    assertThat(keeper.events()).isEmpty();
  }

  @Test
  void checkpointsAreUnimplementedAndSayWhy() throws Exception {
    running("c1");
    Reply reply =
        FakeKeeper.await(
            keeper.task("Checkpoint", CheckpointTaskRequest.newBuilder().setId("c1").build()));
    assertThat(code(reply)).isEqualTo(Code.UNIMPLEMENTED);
    assertThat(reply.getMessage()).contains("checkpoints aren't supported");
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

  @Test
  void thirdVersionOfTheServiceIsTheSameService() throws Exception {
    created("c1");
    Reply reply =
        FakeKeeper.await(
            keeper.request(
                "containerd.task.v3.Task", "State", Scripts.stateRequest("c1", "").toByteString()));
    assertThat(StateResponse.parseFrom(reply.getPayload()).getPid()).isEqualTo(1001);
  }

  @Test
  void whatNobodyServesIsUnimplemented() throws Exception {
    assertThat(refused("Nonsense", Scripts.start("c1", ""))).isEqualTo(Code.UNIMPLEMENTED);
    Reply reply = FakeKeeper.await(keeper.request("no.such.Service", "Create", ByteString.EMPTY));
    assertThat(code(reply)).isEqualTo(Code.UNIMPLEMENTED);
  }

  @Test
  void aPayloadThatIsNoMessageIsAnInvalidArgument() throws Exception {
    ByteString garbage = ByteString.copyFrom(new byte[] {(byte) 0xff, 1, 2, 3});
    Reply reply = FakeKeeper.await(keeper.request("containerd.task.v2.Task", "State", garbage));
    assertThat(code(reply)).isEqualTo(Code.INVALID_ARGUMENT);
  }

  @Test
  void whatAPodsKeeperHoldsIsBoundedAndFitsIntoItsHello() throws Exception {
    running("c1");
    ok("Exec", largeExec("e1"));
    ok("Exec", largeExec("e2"));
    Reply third = FakeKeeper.await(keeper.task("Exec", largeExec("e3")));
    assertThat(code(third)).isEqualTo(Code.RESOURCE_EXHAUSTED);
    assertThat(third.getMessage()).contains("exec: c1: ", "delete execs that have ended");
    keeper.reconnect();
    assertThat(state("c1", "e2").getStatus()).isEqualTo(Status.CREATED);
    ok("Delete", Scripts.delete("c1", "e1"));
    ok("Exec", largeExec("e3"));
  }

  /** Its process has an environment of three mebibytes. */
  private static ExecProcessRequest largeExec(String execId) {
    ExecProcessRequest.Builder exec = Scripts.exec("c1", execId).toBuilder();
    String process =
        "{\"args\": [\"true\"], \"cwd\": \"/\", \"env\": [\"A=" + "x".repeat(3 << 20) + "\"]}";
    exec.getSpecBuilder().setValue(ByteString.copyFromUtf8(process));
    return exec.build();
  }

  @Test
  void aRefusalQuotesNoMoreThanALineTakes() throws Exception {
    created("c1");
    ExecProcessRequest.Builder exec = Scripts.exec("c1", "e1").toBuilder();
    String process =
        "{\"args\": [\"true\"], \"cwd\": \"/\", \"env\": [\"" + "x".repeat(1 << 20) + "\"]}";
    exec.getSpecBuilder().setValue(ByteString.copyFromUtf8(process));
    Reply reply = FakeKeeper.await(keeper.task("Exec", exec.build()));
    assertThat(code(reply)).isEqualTo(Code.INVALID_ARGUMENT);
    assertThat(reply.getMessage())
        .startsWith("read process: env[0]: \"xxx")
        .hasSizeLessThan(10_000);
  }

  private record Asked(String method, MessageLite message) {}

  private void failing(Step.ActionCase action, StepResult failure) {
    Function<Step, StepResult> good = script;
    script = step -> step.getActionCase() == action ? failure : good.apply(step);
  }

  private CreateTaskResponse created(String id)
      throws IOException, InterruptedException, InvalidProtocolBufferException {
    return CreateTaskResponse.parseFrom(ok("Create", Scripts.create(id)));
  }

  private void running(String id) throws Exception {
    created(id);
    ok("Start", Scripts.start(id, ""));
  }

  private ByteString ok(String method, MessageLite message)
      throws IOException, InterruptedException {
    Reply reply = FakeKeeper.await(keeper.task(method, message));
    assertThat(reply.getCode()).as(reply.getMessage() + brigd.log()).isZero();
    return reply.getPayload();
  }

  private Code refused(String method, MessageLite message)
      throws IOException, InterruptedException {
    return code(FakeKeeper.await(keeper.task(method, message)));
  }

  private static Code code(Reply reply) {
    return io.grpc.Status.fromCodeValue(reply.getCode()).getCode();
  }

  private StateResponse state(String id, String execId) throws Exception {
    return StateResponse.parseFrom(ok("State", Scripts.stateRequest(id, execId)));
  }

  private ConnectResponse connect(String id) throws Exception {
    return ConnectResponse.parseFrom(ok("Connect", ConnectRequest.newBuilder().setId(id).build()));
  }

  private void exits(String id, String execId, int pid, int status) throws Exception {
    assertThat(FakeKeeper.await(notice(id, execId, pid, status)).getCode()).isZero();
  }

  private CompletableFuture<Reply> notice(String id, String execId, int pid, int status)
      throws IOException {
    return keeper.notice("Exited", Scripts.exited(id, execId, pid, status));
  }
}
