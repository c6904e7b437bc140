package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.events.TaskExit;
import brig.proto.containerd.task.DeleteResponse;
import brig.proto.containerd.task.StartResponse;
import brig.proto.containerd.task.WaitResponse;
import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.Event;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import io.grpc.Status.Code;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Processes executed in a container, call by call. */
class TaskExecTest extends TaskTest {
  private static final int ENOENT = 2;

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
}
