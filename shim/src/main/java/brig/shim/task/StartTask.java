package brig.shim.task;

import brig.proto.containerd.task.StartRequest;
import brig.proto.containerd.task.StartResponse;
import brig.proto.keeper.AfterExec;
import brig.proto.plan.CreatePlan;
import brig.proto.state.StoredExit;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.lifecycle.Lifecycle;
import brig.shim.relay.StepFailure;
import brig.shim.relay.Steps;
import brig.shim.rpc.Exchange;
import com.google.protobuf.InvalidProtocolBufferException;
import java.time.Clock;
import java.time.Instant;
import java.util.Optional;

/** Start of init: lets it go on to its program, then runs the poststart hooks. */
final class StartTask {
  private static final int SIGKILL = 9;

  private final Events events;
  private final Clock clock;

  StartTask(Events events, Clock clock) {
    this.events = events;
    this.clock = clock;
  }

  StartResponse run(Container container, Exchange exchange, StartRequest request)
      throws BrigException, StepFailure {
    ContainerState state = container.require("start");
    Lifecycle running = state.lifecycle().start();
    String id = container.id();
    Optional<AfterExec> afterExec;
    try {
      afterExec = exchange.steps().release(id, "");
    } catch (StepFailure e) {
      Exit exit = failedExit(exchange.steps(), e, clock);
      exchange.change(Change.of(container, now -> now.with(now.lifecycle().exited(exit))));
      exchange.publish(events.exited(id, "", running.pid(), exit));
      throw e;
    }
    exchange.change(
        Change.of(
            container, now -> AfterExecCheck.keep(now, afterExec).moved(Lifecycle.State.RUNNING)));
    exchange.publish(events.started(id, running.pid()));
    if (afterExec.isPresent()) {
      check(exchange.steps(), state, afterExec.get());
    }
    runPoststartHooks(exchange.steps(), state);
    return StartResponse.newBuilder().setPid(running.pid()).build();
  }

  /**
   * The exit of a process whose program couldn't be started: nothing ran, so there is no status but
   * the one that shells give.
   */
  static Exit failedExit(Steps steps, StepFailure why, Clock clock) throws StepFailure {
    return exitNow(steps, ErrorText.exitStatus(why.failure()), clock);
  }

  /** An exit at this moment, which a replay takes for the same moment. */
  static Exit exitNow(Steps steps, int status, Clock clock) throws StepFailure {
    Instant now = clock.instant();
    StoredExit exit =
        StoredExit.newBuilder()
            .setStatus(status)
            .setAtSeconds(now.getEpochSecond())
            .setAtNanos(now.getNano())
            .build();
    try {
      StoredExit fixed = StoredExit.parseFrom(steps.remember(exit.toByteString()));
      return new Exit(
          fixed.getStatus(), Instant.ofEpochSecond(fixed.getAtSeconds(), fixed.getAtNanos()));
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException("remembered exit can't be parsed", e);
    }
  }

  private static void check(Steps steps, ContainerState state, AfterExec afterExec)
      throws BrigException {
    try {
      AfterExecCheck.compare(
          state.id(),
          afterExec,
          state.facts().plan().getCreate().getProcess(),
          state.facts().readBack().getNamespacesOrDefault("user", ""));
    } catch (BrigException e) {
      kill(steps, state.id());
      throw e;
    }
  }

  private static void runPoststartHooks(Steps steps, ContainerState state)
      throws BrigException, StepFailure {
    try {
      CreatePlan plan = state.facts().plan().getCreate();
      HookRuns.poststart(steps, state.id(), plan, state.lifecycle().pid());
    } catch (StepFailure e) {
      kill(steps, state.id());
      throw new BrigException(
          Kind.UNKNOWN,
          "run poststart hooks",
          state.id(),
          ErrorText.of(e.failure()),
          "the container was killed; mend the hook and start it again");
    }
  }

  private static void kill(Steps steps, String id) {
    try {
      steps.signal(id, "", SIGKILL, true);
    } catch (StepFailure e) {
      // It has ended by itself.
    }
  }
}
