package brig.shim.task;

import brig.proto.keeper.ContainerPatch;
import brig.proto.keeper.ProcessInfo;
import brig.proto.keeper.ProcessPatch;
import brig.proto.keeper.Reply;
import brig.sandbox.lifecycle.Exit;
import brig.shim.rpc.Effect;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/**
 * A change of one container's state, made as its reply is sent.
 *
 * <p>It is said as a function, since another request's change may come between the handler's look
 * and its answer; each sees the one before it. A reply carries at most one change of a container.
 */
final class Change implements Effect {
  private final Container container;
  private final UnaryOperator<Optional<ContainerState>> function;
  private final Optional<Exit> lastExit;

  private Change(
      Container container,
      UnaryOperator<Optional<ContainerState>> function,
      Optional<Exit> lastExit) {
    this.container = container;
    this.function = function;
    this.lastExit = lastExit;
  }

  static Change created(Container container, ContainerState state) {
    return new Change(container, before -> Optional.of(state), Optional.empty());
  }

  static Change of(Container container, UnaryOperator<ContainerState> function) {
    return new Change(container, before -> before.map(function), Optional.empty());
  }

  /** Forgets the container; who waits for its init gets {@code exit}. */
  static Change deleted(Container container, Exit exit) {
    return new Change(container, before -> Optional.empty(), Optional.of(exit));
  }

  /** Forgets the container; who waits for its init is told that it is gone. */
  static Change forgotten(Container container) {
    return new Change(container, before -> Optional.empty(), Optional.empty());
  }

  @Override
  public void make(Reply.Builder reply) {
    Optional<ContainerState> before = container.state();
    Optional<ContainerState> next = function.apply(before);
    addPatch(reply, before, next);
    if (lastExit.isPresent() && before.isPresent()) {
      ContainerState last = before.get();
      container.become(Optional.of(last.with(last.lifecycle().exited(lastExit.get()))));
    }
    container.become(next);
  }

  private void addPatch(
      Reply.Builder reply, Optional<ContainerState> before, Optional<ContainerState> next) {
    ContainerPatch.Builder patch = ContainerPatch.newBuilder().setContainerId(container.id());
    if (next.isPresent()) {
      patch.setState(StateCodec.encode(next.get()));
      Map<String, ProcessInfo> old = new LinkedHashMap<>();
      before.ifPresent(state -> old.putAll(StateCodec.processInfos(state)));
      StateCodec.processInfos(next.get())
          .forEach((id, info) -> {
            if (!info.equals(old.remove(id))) {
              patch.addProcesses(ProcessPatch.newBuilder().setExecId(id).setInfo(info));
            }
          });
      old.keySet()
          .forEach(
              id -> patch.addProcesses(ProcessPatch.newBuilder().setExecId(id).setRemove(true)));
    } else if (before.isPresent()) {
      patch.setRemove(true);
    } else {
      return;
    }
    reply.addPatches(patch);
  }
}
