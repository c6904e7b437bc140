package brig.shim.task;

import brig.proto.plan.CreatePlan;
import brig.proto.plan.Hook;
import brig.shim.log.Log;
import brig.shim.relay.StepFailure;
import brig.shim.relay.Steps;
import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** The hooks of a plan that run on the host when the container is there already, or no more. */
final class HookRuns {
  private HookRuns() {}

  /** Hooks of the running container. */
  static void poststart(Steps steps, String id, CreatePlan plan, int pid) throws StepFailure {
    run(steps, id, plan, Hook.Point.POSTSTART, "running", pid);
  }

  /**
   * Hooks of a container of which nothing is left. Their failure changes nothing; it is logged, and
   * the others run all the same.
   */
  static void poststop(Steps steps, String id, CreatePlan plan, Log log) {
    try {
      run(steps, id, plan, Hook.Point.POSTSTOP, "stopped", 0);
    } catch (StepFailure e) {
      log.with("container", id).warn("poststop hook failed: " + ErrorText.of(e.failure()));
    }
  }

  private static void run(
      Steps steps, String id, CreatePlan plan, Hook.Point point, String status, int pid)
      throws StepFailure {
    List<ByteString> hooks =
        plan.getHooksList().stream()
            .filter(hook -> hook.getPoint() == point)
            .map(Hook::toByteString)
            .toList();
    if (!hooks.isEmpty()) {
      steps.runHooks(id, hooks, state(plan, status, pid));
    }
  }

  private static ByteString state(CreatePlan plan, String status, int pid) {
    List<String> parts = plan.getStateJsonPartsList();
    if (parts.size() != 3) {
      throw new IllegalStateException("state for hooks has " + parts.size() + " parts");
    }
    String json = parts.get(0) + status + parts.get(1) + pid + parts.get(2);
    return ByteString.copyFrom(json, StandardCharsets.UTF_8);
  }
}
