package brig.testing.client;

import brig.testing.proto.task.ProcessInfo;
import brig.testing.proto.task.Status;
import brig.testing.proto.tasks.CreateTaskRequest;
import brig.testing.proto.tasks.DeleteTaskRequest;
import brig.testing.proto.tasks.ListPidsRequest;
import brig.testing.proto.tasks.MetricsRequest;
import brig.testing.proto.tasks.PauseTaskRequest;
import brig.testing.proto.tasks.ResumeTaskRequest;
import brig.testing.proto.tasks.UpdateTaskRequest;
import brig.testing.proto.types.Metric;
import brig.testing.proto.types.Mount;
import brig.testing.spec.OciSpec;
import com.google.protobuf.Any;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** A container that a test made; closing it ends and removes everything of it. */
public final class TestContainer implements AutoCloseable {

  private final ContainerdClient client;
  private final String id;
  private final OciSpec spec;
  private final List<Mount> rootfs;
  private final String snapshotKey;
  private final List<AutoCloseable> resources = new ArrayList<>();

  TestContainer(
      ContainerdClient client, String id, OciSpec spec, List<Mount> rootfs, String snapshotKey) {
    this.client = client;
    this.id = id;
    this.spec = spec;
    this.rootfs = rootfs;
    this.snapshotKey = snapshotKey;
  }

  public String id() {
    return id;
  }

  public OciSpec spec() {
    return spec;
  }

  public ContainerdClient client() {
    return client;
  }

  public Path bundle() {
    return client.containerd().bundle(client.namespace(), id);
  }

  /** Creates the task: its init waits for {@link TestProcess#start()}. */
  public TestProcess create() {
    return create(Stdio.captured());
  }

  public TestProcess create(Stdio stdio) {
    resources.add(stdio);
    int pid =
        client
            .tasks()
            .create(
                CreateTaskRequest.newBuilder()
                    .setContainerId(id)
                    .addAllRootfs(rootfs)
                    .setStdin(stdio.stdinPath())
                    .setStdout(stdio.stdoutPath())
                    .setStderr(stdio.stderrPath())
                    .setTerminal(stdio.isTerminal())
                    .build())
            .getPid();
    return new TestProcess(this, "", pid, stdio);
  }

  /** Creates and starts. */
  public TestProcess start() {
    return start(Stdio.captured());
  }

  public TestProcess start(Stdio stdio) {
    TestProcess process = create(stdio);
    process.start();
    return process;
  }

  /** Runs to the end. */
  public Exit run(Stdio stdio) {
    return start(stdio).await();
  }

  /** An exec that waits for its start. */
  public TestProcess exec(
      String execId, com.fasterxml.jackson.databind.JsonNode process, Stdio stdio) {
    resources.add(stdio);
    return TestProcess.exec(this, execId, process, stdio);
  }

  /** Runs a command in the container to its end and gives its output; its exit must be 0. */
  public String ask(String... command) {
    Stdio stdio = Stdio.captured();
    TestProcess process = exec(brig.testing.Names.fresh("ask"), spec.execProcess(command), stdio);
    process.start();
    Exit exit = process.await();
    String out = stdio.stdout();
    String err = stdio.stderr();
    process.delete();
    if (exit.status() != 0) {
      throw new AssertionError(
          String.join(" ", command) + ": exit " + exit.status() + "\n" + out + err);
    }
    return out;
  }

  public Status status() {
    return process("").getStatus();
  }

  brig.testing.proto.task.Process process(String execId) {
    return client
        .tasks()
        .get(
            brig.testing.proto.tasks.GetRequest.newBuilder()
                .setContainerId(id)
                .setExecId(execId)
                .build())
        .getProcess();
  }

  public void pause() {
    client.tasks().pause(PauseTaskRequest.newBuilder().setContainerId(id).build());
  }

  public void resume() {
    client.tasks().resume(ResumeTaskRequest.newBuilder().setContainerId(id).build());
  }

  /** Changes the limits that the document names. */
  public void update(String resourcesJson) {
    client
        .tasks()
        .update(
            UpdateTaskRequest.newBuilder()
                .setContainerId(id)
                .setResources(ContainerdClient.json(ContainerdClient.RESOURCES, resourcesJson))
                .build());
  }

  /** What Stats answers; containerd leaves a container out that has none. */
  public List<Any> metrics() {
    return client
        .tasks()
        .metrics(MetricsRequest.newBuilder().addFilters("id==" + id).build())
        .getMetricsList()
        .stream()
        .filter(metric -> metric.getId().equals(id))
        .map(Metric::getData)
        .toList();
  }

  public List<ProcessInfo> pids() {
    return client
        .tasks()
        .listPids(ListPidsRequest.newBuilder().setContainerId(id).build())
        .getProcessesList();
  }

  /** Deletes the task. */
  public Exit delete() {
    var answer = client.tasks().delete(DeleteTaskRequest.newBuilder().setContainerId(id).build());
    return new Exit(answer.getExitStatus(), answer.getExitedAt());
  }

  /** Whether containerd knows a task of this container. */
  public boolean hasTask() {
    try {
      process("");
      return true;
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() == Code.NOT_FOUND) {
        return false;
      }
      throw e;
    }
  }

  @Override
  public void close() {
    if (hasTask()) {
      new TestProcess(this, "", 0, Stdio.none()).killAndDelete();
    }
    for (AutoCloseable resource : resources) {
      try {
        resource.close();
      } catch (Exception e) {
        throw new AssertionError(e);
      }
    }
    client.removeContainer(id);
    if (!snapshotKey.isEmpty()) {
      client.removeSnapshot(snapshotKey);
    }
  }
}
