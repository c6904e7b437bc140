package brig.shim.task;

import brig.proto.containerd.task.DeleteRequest;
import brig.proto.containerd.task.DeleteResponse;
import brig.sandbox.BrigException;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.lifecycle.Lifecycle;
import brig.shim.relay.StepFailure;
import brig.shim.relay.Steps;
import brig.shim.rpc.Exchange;
import java.time.Clock;
import java.time.Instant;
import java.util.Optional;

/** Delete of a container that has ended or has never been started, and of an exec. */
final class DeleteTask {
  private static final int KILLED = 128 + 9;

  private final Events events;
  private final ScopeKeeping scopes;
  private final Clock clock;

  DeleteTask(Events events, ScopeKeeping scopes, Clock clock) {
    this.events = events;
    this.scopes = scopes;
    this.clock = clock;
  }

  /** Numbers of steps that were, or would be, taken before {@link #container}'s. */
  private static final int FIRST = 2;

  /**
   * Comes before {@link #container} where the Create is still under way: it is made to fail, which
   * frees the container's queue. Whether it is under way may be another for the next daemon, so
   * that this step has a number of its own.
   */
  void begin(Container container, Steps steps) {
    steps.skip();
    try {
      steps.abort(container.id(), "");
    } catch (StepFailure e) {
      // It had no stage yet, or has none any more.
    }
  }

  /** Comes before {@link #container} where the Create is over. */
  void beginAtOnce(Steps steps) {
    for (int number = 0; number < FIRST; number++) {
      steps.skip();
    }
  }

  /** What follows on either, in the container's queue. */
  DeleteResponse container(Pod pod, Container container, Exchange exchange)
      throws BrigException, StepFailure {
    String id = container.id();
    ContainerState state = container.require("delete");
    Lifecycle lifecycle = state.lifecycle();
    lifecycle.delete();
    Steps steps = exchange.steps();
    Optional<Exit> told = lifecycle.exit();
    Exit exit = told.isPresent() ? told.get() : StartTask.exitNow(steps, KILLED, clock);
    container.state().map(last -> last.with(lifecycle.exited(exit))).ifPresent(pod::remember);
    steps.removeContainer(id);
    scopes.end(pod, state);
    HookRuns.poststop(steps, id, state.facts().plan().getCreate(), pod.log());
    pod.releaseIdsIfLast(container, 0);
    if (told.isEmpty()) {
      exchange.publish(events.exited(id, "", lifecycle.pid(), exit));
    }
    exchange.publish(events.deleted(id, lifecycle.pid(), exit));
    exchange.change(Change.deleted(container, exit));
    pod.log().with("container", id).with("exit_status", exit.status()).info("container deleted");
    return response(lifecycle.pid(), exit);
  }

  DeleteResponse exec(Container container, Exchange exchange, DeleteRequest request)
      throws BrigException, StepFailure {
    String execId = request.getExecId();
    Lifecycle lifecycle = container.require("delete").lifecycle();
    ExecProcess exec = lifecycle.exec("delete", execId);
    lifecycle.deleteExec(execId);
    if (exec.pid() != 0) {
      exchange.steps().removeProcess(container.id(), execId);
    }
    exchange.change(Change.of(container, now -> now.withoutExec(execId)));
    return response(exec.pid(), exec.exit().orElse(new Exit(0, Instant.EPOCH)));
  }

  private static DeleteResponse response(int pid, Exit exit) {
    DeleteResponse.Builder response =
        DeleteResponse.newBuilder().setPid(pid).setExitStatus(exit.status());
    if (!exit.at().equals(Instant.EPOCH)) {
      response.setExitedAt(Events.timestamp(exit.at()));
    }
    return response.build();
  }
}
