package brig.shim.task;

import brig.proto.containerd.task.CloseIORequest;
import brig.proto.containerd.task.KillRequest;
import brig.proto.containerd.task.ResizePtyRequest;
import brig.proto.containerd.task.UpdateTaskRequest;
import brig.proto.keeper.CgroupContent;
import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.FileContent;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Lifecycle;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.SpecParser;
import brig.shim.relay.StepFailure;
import brig.shim.rpc.Exchange;
import com.google.protobuf.Empty;
import java.util.List;

/** What is done to a container while it lives: signals, freezing, limits, terminal, stdin. */
final class ControlTask {
  private final Events events;
  private final ScopeKeeping scopes;

  ControlTask(Events events, ScopeKeeping scopes) {
    this.events = events;
    this.scopes = scopes;
  }

  /**
   * Success as soon as the signal is sent, whether or not the process heeds it. A process that has
   * ended by the time of a replay may have ended of this very signal: the step tells.
   */
  Empty kill(Container container, Exchange exchange, KillRequest request)
      throws BrigException, StepFailure {
    Lifecycle lifecycle = container.require("kill").lifecycle();
    if (!exchange.isReplayed()) {
      lifecycle.checkKill(request.getExecId());
    }
    try {
      exchange
          .steps()
          .signal(container.id(), request.getExecId(), request.getSignal(), request.getAll());
    } catch (StepFailure e) {
      if (e.errno() == ErrorText.ESRCH) {
        lifecycle.checkKill(request.getExecId());
        throw new BrigException(
            Kind.NOT_FOUND, "kill", container.id(), "process already finished", "");
      }
      throw e;
    }
    return Empty.getDefaultInstance();
  }

  Empty pause(Pod pod, Container container, Exchange exchange) throws BrigException, StepFailure {
    ContainerState state = container.require("pause");
    state.lifecycle().pause();
    exchange.steps().cgroup(pod.planner().pause(container.id(), cgroups(state)));
    exchange.change(Change.of(container, now -> now.moved(Lifecycle.State.PAUSED)));
    exchange.publish(events.paused(container.id()));
    return Empty.getDefaultInstance();
  }

  Empty resume(Pod pod, Container container, Exchange exchange) throws BrigException, StepFailure {
    ContainerState state = container.require("resume");
    state.lifecycle().resume();
    exchange.steps().cgroup(pod.planner().resume(container.id(), cgroups(state)));
    exchange.change(Change.of(container, now -> now.moved(Lifecycle.State.RUNNING)));
    exchange.publish(events.resumed(container.id()));
    return Empty.getDefaultInstance();
  }

  Empty update(Pod pod, Container container, Exchange exchange, UpdateTaskRequest request)
      throws BrigException, StepFailure {
    ContainerState state = container.require("update");
    state.lifecycle().checkUpdate();
    Resources resources =
        SpecParser.parseResources(request.getResources().getValue().toByteArray());
    List<CgroupDir> cgroups = cgroups(state);
    List<String> reads = pod.planner().updateReads(cgroups, resources);
    List<FileContent> current = List.of();
    if (!reads.isEmpty()) {
      CgroupOp look =
          CgroupOp.newBuilder().setContainerId(container.id()).addAllReads(reads).build();
      CgroupContent content = exchange.steps().cgroup(look);
      current = content.getFilesList();
    }
    if (ScopeKeeping.hasScope(state)) {
      // First, since it writes to the same files, and rounds.
      scopes.update(state, pod.planner().updateProperties(cgroups, resources, current));
    }
    List<CgroupOp.Write> writes = pod.planner().update(cgroups, resources, current);
    if (!writes.isEmpty()) {
      exchange
          .steps()
          .cgroup(
              CgroupOp.newBuilder().setContainerId(container.id()).addAllWrites(writes).build());
    }
    return Empty.getDefaultInstance();
  }

  /** Before an exec's start the size is kept for it; without a terminal nothing is done. */
  Empty resize(Container container, Exchange exchange, ResizePtyRequest request)
      throws BrigException, StepFailure {
    String execId = request.getExecId();
    ContainerState state = container.require("resize");
    if (!exchange.isReplayed()) {
      // It may have ended since the size was set.
      state.lifecycle().checkResize(execId);
    }
    if (!state.streams("resize", execId).terminal()) {
      return Empty.getDefaultInstance();
    }
    if (isAdded(state, execId)) {
      ExecFacts sized =
          state.exec("resize", execId).withConsole(request.getWidth(), request.getHeight());
      exchange.change(Change.of(container, now -> now.withExec(execId, sized)));
    } else {
      exchange.steps().resize(container.id(), execId, request.getWidth(), request.getHeight());
    }
    return Empty.getDefaultInstance();
  }

  Empty closeIo(Container container, Exchange exchange, CloseIORequest request)
      throws BrigException, StepFailure {
    String execId = request.getExecId();
    ContainerState state = container.require("close io");
    if (state.streams("close io", execId).stdin().isEmpty() || !request.getStdin()) {
      return Empty.getDefaultInstance();
    }
    if (isAdded(state, execId)) {
      ExecFacts closed = state.exec("close io", execId).withStdinClosed();
      exchange.change(Change.of(container, now -> now.withExec(execId, closed)));
    } else if (!hasExited(state, execId)) {
      exchange.steps().closeStdin(container.id(), execId);
    }
    return Empty.getDefaultInstance();
  }

  private static boolean isAdded(ContainerState state, String execId) {
    ExecProcess exec = state.lifecycle().execs().get(execId);
    return exec != null && exec.state() == ExecProcess.State.ADDED;
  }

  private static boolean hasExited(ContainerState state, String execId) {
    ExecProcess exec = state.lifecycle().execs().get(execId);
    return exec == null ? state.lifecycle().exit().isPresent() : exec.exit().isPresent();
  }

  static List<CgroupDir> cgroups(ContainerState state) {
    return state.facts().plan().getCreate().getCgroups().getDirsList();
  }
}
