package brig.shim.task;

import brig.proto.containerd.task.ExecProcessRequest;
import brig.proto.containerd.task.StartRequest;
import brig.proto.containerd.task.StartResponse;
import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.Execute;
import brig.proto.keeper.Executed;
import brig.proto.keeper.OpenStage;
import brig.proto.keeper.Source;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.LaunchPlan;
import brig.sandbox.BrigException;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.plan.PlannedExec;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.SpecParser;
import brig.shim.relay.StepFailure;
import brig.shim.relay.Steps;
import brig.shim.rpc.Exchange;
import com.google.protobuf.ByteString;
import com.google.protobuf.Empty;
import java.time.Clock;
import java.util.List;

/**
 * Exec and its Start: a further process in a container, with all of the container's restrictions.
 */
final class ExecTask {
  private static final int SIGKILL = 9;
  private static final int NOT_EXECUTABLE = 126;

  private final Events events;
  private final Clock clock;

  ExecTask(Events events, Clock clock) {
    this.events = events;
    this.clock = clock;
  }

  /** Registers only; what is wrong with the process's description is told here, though. */
  Empty add(Pod pod, Container container, Exchange exchange, ExecProcessRequest request)
      throws BrigException {
    ContainerState state = container.require("exec");
    String execId = request.getExecId();
    Requests.checkId("exec", execId);
    state.lifecycle().addExec(execId);
    ByteString process = request.getSpec().getValue();
    SpecParser.parseProcess(process.toByteArray());
    Streams streams =
        new Streams(
            request.getStdin(), request.getStdout(), request.getStderr(), request.getTerminal());
    ExecFacts facts = ExecFacts.added(streams, process);
    pod.checkRoom("exec", container.id(), facts.weight());
    exchange.change(Change.of(container, now -> now.withAddedExec(execId, facts)));
    exchange.publish(events.execAdded(container.id(), execId));
    return Empty.getDefaultInstance();
  }

  StartResponse start(Pod pod, Container container, Exchange exchange, StartRequest request)
      throws BrigException, StepFailure {
    String execId = request.getExecId();
    ContainerState state = container.require("start");
    state.lifecycle().checkStartExec(execId);
    ExecFacts exec = state.exec("start", execId);
    Steps steps = exchange.steps();
    try {
      Executed executed = execute(pod, steps, state, execId, exec);
      int pid = executed.getPid();
      exchange.change(Change.of(container, now -> now.execRunning(execId, pid)));
      exchange.publish(events.execStarted(container.id(), execId, pid));
      return StartResponse.newBuilder().setPid(pid).build();
    } catch (StepFailure e) {
      failed(steps, container, exchange, execId, StartTask.failedExit(steps, e, clock));
      throw e;
    } catch (BrigException e) {
      failed(steps, container, exchange, execId, StartTask.exitNow(steps, NOT_EXECUTABLE, clock));
      throw e;
    }
  }

  private static Executed execute(
      Pod pod, Steps steps, ContainerState state, String execId, ExecFacts exec)
      throws BrigException, StepFailure {
    LaunchPlan container = state.facts().plan();
    ProcessSpec process = SpecParser.parseProcess(exec.process().toByteArray());
    PlannedExec planned = pod.planner().planExec(container, process, exec.streams().terminal());
    List<Source> sources = pod.planner().execSources(container);
    LaunchPlan plan = withConsole(planned.plan(), exec);
    Execute.Builder asked =
        Execute.newBuilder()
            .setContainerId(state.id())
            .setExecId(execId)
            .setPlan(plan.toByteString())
            .setStdio(
                exec.streams()
                    .toStdio(planned.stdioUid(), planned.stdioGid())
                    .setContainerId(state.id())
                    .setNamespace(pod.namespace()))
            .setInfo(StateCodec.info(state.facts().bundle(), exec.streams(), Status.RUNNING))
            .setRelease(true);
    if (pod.takesOneRound()) {
      // Nothing of the plan depends on what the sources are.
      steps.skip();
      asked.setOpen(OpenStage.newBuilder().addAllSources(sources));
    } else {
      steps.openStage(state.id(), execId, sources);
    }
    Executed executed = steps.execute(asked.build());
    CreatePlan create = container.getCreate();
    try {
      ReadBackCheck.compare(
          state.id() + " exec " + execId,
          executed,
          plan.getExec().getProcess(),
          create.getUidMapsList(),
          create.getGidMapsList());
      if (executed.hasAfterExec()) {
        AfterExecCheck.compare(
            state.id() + " exec " + execId,
            executed.getAfterExec(),
            plan.getExec().getProcess(),
            executed.getNamespacesOrDefault("user", ""));
      }
    } catch (BrigException e) {
      steps.signal(state.id(), execId, SIGKILL, false);
      throw e;
    }
    if (exec.stdinClosed()) {
      steps.closeStdin(state.id(), execId);
    }
    return executed;
  }

  /** A window size that was asked for before the start. */
  private static LaunchPlan withConsole(LaunchPlan plan, ExecFacts exec) {
    if (exec.consoleWidth() == 0 && exec.consoleHeight() == 0) {
      return plan;
    }
    LaunchPlan.Builder changed = plan.toBuilder();
    changed
        .getExecBuilder()
        .getProcessBuilder()
        .setConsoleWidth(exec.consoleWidth())
        .setConsoleHeight(exec.consoleHeight());
    return changed.build();
  }

  private static void failed(
      Steps steps, Container container, Exchange exchange, String execId, Exit exit) {
    try {
      steps.abort(container.id(), execId);
    } catch (StepFailure e) {
      // There was no stage, or it has undone itself.
    }
    exchange.change(Change.of(container, now -> now.execExited(execId, exit)));
  }
}
