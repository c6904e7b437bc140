package brig.shim.task;

import brig.proto.state.ReadBack;
import brig.sandbox.BrigException;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.lifecycle.Lifecycle;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * All that the daemon knows of one container, as a value.
 *
 * @param execs one for each exec of the lifecycle
 */
public record ContainerState(
    Lifecycle lifecycle, ContainerFacts facts, Map<String, ExecFacts> execs, boolean oomKilled) {
  public ContainerState {
    execs = Map.copyOf(execs);
  }

  public String id() {
    return lifecycle.id();
  }

  /** About how many bytes its keeper holds of it. */
  long weight() {
    long weight = facts.weight();
    for (ExecFacts exec : execs.values()) {
      weight += exec.weight();
    }
    return weight;
  }

  ContainerState with(Lifecycle next) {
    return new ContainerState(next, facts, execs, oomKilled);
  }

  /** Started, frozen or thawed: a fact by then, unless init has ended meanwhile. */
  ContainerState moved(Lifecycle.State to) {
    return switch (lifecycle.state()) {
      case CREATED, RUNNING, PAUSED ->
          with(
              new Lifecycle(
                  lifecycle.id(), to, lifecycle.pid(), lifecycle.exit(), lifecycle.execs()));
      case STOPPED, DELETED -> this;
    };
  }

  ContainerState with(ReadBack readBack) {
    return new ContainerState(lifecycle, facts.with(readBack), execs, oomKilled);
  }

  ContainerState withOom() {
    return new ContainerState(lifecycle, facts, execs, true);
  }

  ContainerState withExec(String execId, ExecFacts exec) {
    Map<String, ExecFacts> all = new LinkedHashMap<>(execs);
    all.put(execId, exec);
    return new ContainerState(lifecycle, facts, all, oomKilled);
  }

  /** An exec is registered: checked before, and by then a fact. */
  ContainerState withAddedExec(String execId, ExecFacts exec) {
    ExecProcess added = new ExecProcess(ExecProcess.State.ADDED, 0, Optional.empty());
    return with(withProcess(execId, added)).withExec(execId, exec);
  }

  /**
   * The exec runs: a fact, whatever became of the container while it was being started (a pause,
   * for example).
   */
  ContainerState execRunning(String execId, int pid) {
    ExecProcess running = new ExecProcess(ExecProcess.State.RUNNING, pid, Optional.empty());
    return with(withProcess(execId, running)).withStarted(execId);
  }

  private Lifecycle withProcess(String execId, ExecProcess process) {
    Map<String, ExecProcess> all = new LinkedHashMap<>(lifecycle.execs());
    all.put(execId, process);
    return new Lifecycle(lifecycle.id(), lifecycle.state(), lifecycle.pid(), lifecycle.exit(), all);
  }

  ContainerState execExited(String execId, Exit exit) {
    return with(lifecycle.execExited(execId, exit)).withStarted(execId);
  }

  /** The exec is forgotten: checked before. */
  ContainerState withoutExec(String execId) {
    Map<String, ExecProcess> processes = new LinkedHashMap<>(lifecycle.execs());
    processes.remove(execId);
    Map<String, ExecFacts> rest = new LinkedHashMap<>(execs);
    rest.remove(execId);
    Lifecycle next =
        new Lifecycle(
            lifecycle.id(), lifecycle.state(), lifecycle.pid(), lifecycle.exit(), processes);
    return new ContainerState(next, facts, rest, oomKilled);
  }

  private ContainerState withStarted(String execId) {
    ExecFacts exec = execs.get(execId);
    return exec == null ? this : withExec(execId, exec.started());
  }

  /** What is known of an exec, or NOT_FOUND. */
  ExecFacts exec(String step, String execId) throws BrigException {
    ExecProcess process = lifecycle.exec(step, execId);
    ExecFacts facts = execs.get(execId);
    if (facts == null) {
      throw new IllegalStateException(
          "exec " + execId + " in state " + process.state() + " has no facts");
    }
    return facts;
  }

  /** Streams of init or of an exec, or NOT_FOUND. */
  Streams streams(String step, String execId) throws BrigException {
    return execId.isEmpty() ? facts.streams() : exec(step, execId).streams();
  }
}
