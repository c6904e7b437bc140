package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.task.DeleteResponse;
import brig.proto.containerd.task.PidsRequest;
import brig.proto.containerd.task.ShutdownRequest;
import brig.proto.containerd.task.WaitResponse;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import io.grpc.Status.Code;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.HexFormat;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** What can't be created or started, and what hangs: told, undone, in nobody's way. */
class FailedTaskTest extends TaskTest {
  private static final int EBUSY = 16;

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

  /** Whether the table on disk has ids for the pod, by its name in hexadecimal. */
  private boolean hasIds() throws IOException {
    String name = HexFormat.of().formatHex(FakeKeeper.INSTANCE.getBytes(StandardCharsets.UTF_8));
    return Files.readString(run.resolve("ids")).contains(" " + name + " ");
  }
}
