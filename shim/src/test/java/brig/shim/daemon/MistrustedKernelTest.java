package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.AfterExec;
import brig.proto.keeper.Done;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import io.grpc.Status.Code;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** A kernel that grants more than the plan says, as a keeper that is played tells it. */
class MistrustedKernelTest extends TaskTest {
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
}
