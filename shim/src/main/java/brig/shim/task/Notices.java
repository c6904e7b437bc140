package brig.shim.task;

import brig.proto.keeper.ExitedNotice;
import brig.proto.keeper.OomNotice;
import brig.proto.plan.CreatePlan;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.shim.rpc.Exchange;
import com.google.protobuf.Empty;
import java.time.Instant;
import java.util.Optional;

/** What a keeper tells of its own accord. Notices of what is not there any more are accepted. */
final class Notices {
  private final Events events;

  Notices(Events events) {
    this.events = events;
  }

  /** One exit event for each process, whoever saw its end first. */
  Empty exited(Container container, Exchange exchange, ExitedNotice notice) {
    Optional<ContainerState> found = container.state();
    if (found.isEmpty()) {
      return Empty.getDefaultInstance();
    }
    ContainerState state = found.get();
    String execId = notice.getExecId();
    Exit exit =
        new Exit(
            notice.getExitStatus(),
            Instant.ofEpochSecond(notice.getExitedAtSeconds(), notice.getExitedAtNanos()));
    if (execId.isEmpty()) {
      if (state.lifecycle().exit().isEmpty()) {
        exchange.change(Change.of(container, now -> now.with(now.lifecycle().exited(exit))));
        exchange.publish(events.exited(container.id(), "", state.lifecycle().pid(), exit));
      }
    } else {
      ExecProcess exec = state.lifecycle().execs().get(execId);
      if (exec != null && exec.state() == ExecProcess.State.RUNNING) {
        exchange.change(Change.of(container, now -> now.execExited(execId, exit)));
        exchange.publish(events.exited(container.id(), execId, exec.pid(), exit));
      }
    }
    return Empty.getDefaultInstance();
  }

  /**
   * The container was removed behind containerd's back, by the launcher's {@code delete};
   * containerd publishes what follows of that by itself. Nothing of it lives any more.
   */
  Empty removed(Pod pod, Container container, Exchange exchange) {
    Optional<ContainerState> found = container.state();
    if (found.isPresent()) {
      CreatePlan plan = found.get().facts().plan().getCreate();
      HookRuns.poststop(exchange.steps(), container.id(), plan, pod.log());
      pod.releaseIdsIfLast(container, 0);
      pod.remember(found.get());
      exchange.change(Change.forgotten(container));
    }
    return Empty.getDefaultInstance();
  }

  Empty oomKilled(Container container, Exchange exchange, OomNotice notice) {
    if (container.state().isPresent()) {
      exchange.change(Change.of(container, ContainerState::withOom));
      exchange.publish(events.oom(notice.getContainerId()));
    }
    return Empty.getDefaultInstance();
  }
}
