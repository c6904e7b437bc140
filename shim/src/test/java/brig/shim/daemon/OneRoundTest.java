package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.Remembered;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.proto.plan.LaunchPlan;
import brig.proto.state.CreateChoice;
import java.util.List;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** Steps that belong together, asked for as one. */
class OneRoundTest extends TaskTest {
  @Test
  void whatBelongsTogetherIsOneStep() throws Exception {
    created("c1");
    ok("Exec", Scripts.exec("c1", "e1"));
    ok("Start", Scripts.start("c1", "e1"));
    assertThat(keeper.carriedOut())
        .extracting(Step::getActionCase)
        .containsExactly(
            Step.ActionCase.READ_FILE,
            Step.ActionCase.OPEN_STAGE,
            Step.ActionCase.EXECUTE,
            Step.ActionCase.EXECUTE);
    assertThat(keeper.carriedOut().getLast().getExecute().hasOpen()).isTrue();
  }

  @Test
  void theChoiceThatADaemonOfAnOlderVersionHasRememberedHolds() throws Exception {
    CreateChoice before =
        CreateChoice.newBuilder().setFirstHostId(1_900_000_000L).setIdCount(65536).build();
    Function<Step, StepResult> good = Scripts.succeeding();
    script =
        step ->
            switch (step.getActionCase()) {
              // As it was kept for that daemon.
              case OPEN_STAGE -> {
                StepResult.Builder opened = good.apply(step).toBuilder();
                opened.getStageOpenedBuilder().clearRemembered();
                yield opened.build();
              }
              case REMEMBER ->
                  StepResult.newBuilder()
                      .setRemembered(Remembered.newBuilder().setValue(before.toByteString()))
                      .build();
              default -> good.apply(step);
            };
    created("c1");
    List<Step> steps = keeper.carriedOut();
    assertThat(steps).filteredOn(Step::hasRemember).extracting(Step::getStep).containsExactly(2);
    LaunchPlan plan = LaunchPlan.parseFrom(steps.getLast().getExecute().getPlan());
    assertThat(plan.getCreate().getUidMaps(0).getHostId()).isEqualTo(1_900_000_000);
  }
}
