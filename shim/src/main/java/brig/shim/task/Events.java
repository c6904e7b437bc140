package brig.shim.task;

import brig.proto.containerd.events.TaskCreate;
import brig.proto.containerd.events.TaskDelete;
import brig.proto.containerd.events.TaskExecAdded;
import brig.proto.containerd.events.TaskExecStarted;
import brig.proto.containerd.events.TaskExit;
import brig.proto.containerd.events.TaskIO;
import brig.proto.containerd.events.TaskOOM;
import brig.proto.containerd.events.TaskPaused;
import brig.proto.containerd.events.TaskResumed;
import brig.proto.containerd.events.TaskStart;
import brig.proto.containerd.task.CreateTaskRequest;
import brig.proto.keeper.Event;
import brig.sandbox.lifecycle.Exit;
import com.google.protobuf.Message;
import com.google.protobuf.Timestamp;
import java.time.Clock;
import java.time.Instant;

/**
 * containerd's events of a task. A type is named by the message's bare name, as containerd's
 * clients expect, without the usual prefix.
 */
final class Events {
  private final Clock clock;

  Events(Clock clock) {
    this.clock = clock;
  }

  Event created(CreateTaskRequest request, int pid) {
    TaskIO io =
        TaskIO.newBuilder()
            .setStdin(request.getStdin())
            .setStdout(request.getStdout())
            .setStderr(request.getStderr())
            .setTerminal(request.getTerminal())
            .build();
    return event(
        "/tasks/create",
        TaskCreate.newBuilder()
            .setContainerId(request.getId())
            .setBundle(request.getBundle())
            .addAllRootfs(request.getRootfsList())
            .setIo(io)
            .setCheckpoint(request.getCheckpoint())
            .setPid(pid)
            .build());
  }

  Event started(String id, int pid) {
    return event("/tasks/start", TaskStart.newBuilder().setContainerId(id).setPid(pid).build());
  }

  /** Init's exit goes under the container's own id. */
  Event exited(String id, String execId, int pid, Exit exit) {
    return event(
        "/tasks/exit",
        TaskExit.newBuilder()
            .setContainerId(id)
            .setId(execId.isEmpty() ? id : execId)
            .setPid(pid)
            .setExitStatus(exit.status())
            .setExitedAt(timestamp(exit.at()))
            .build());
  }

  Event deleted(String id, int pid, Exit exit) {
    return event(
        "/tasks/delete",
        TaskDelete.newBuilder()
            .setContainerId(id)
            .setPid(pid)
            .setExitStatus(exit.status())
            .setExitedAt(timestamp(exit.at()))
            .build());
  }

  Event oom(String id) {
    return event("/tasks/oom", TaskOOM.newBuilder().setContainerId(id).build());
  }

  Event execAdded(String id, String execId) {
    return event(
        "/tasks/exec-added",
        TaskExecAdded.newBuilder().setContainerId(id).setExecId(execId).build());
  }

  Event execStarted(String id, String execId, int pid) {
    return event(
        "/tasks/exec-started",
        TaskExecStarted.newBuilder().setContainerId(id).setExecId(execId).setPid(pid).build());
  }

  Event paused(String id) {
    return event("/tasks/paused", TaskPaused.newBuilder().setContainerId(id).build());
  }

  Event resumed(String id) {
    return event("/tasks/resumed", TaskResumed.newBuilder().setContainerId(id).build());
  }

  static Timestamp timestamp(Instant at) {
    return Timestamp.newBuilder().setSeconds(at.getEpochSecond()).setNanos(at.getNano()).build();
  }

  private Event event(String topic, Message message) {
    Instant now = clock.instant();
    return Event.newBuilder()
        .setTopic(topic)
        .setTypeUrl(message.getDescriptorForType().getFullName())
        .setValue(message.toByteString())
        .setTimestampSeconds(now.getEpochSecond())
        .setTimestampNanos(now.getNano())
        .build();
  }
}
