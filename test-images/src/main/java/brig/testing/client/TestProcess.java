package brig.testing.client;

import brig.testing.kernel.Proc;
import brig.testing.proto.task.Process;
import brig.testing.proto.task.Status;
import brig.testing.proto.tasks.CloseIORequest;
import brig.testing.proto.tasks.DeleteProcessRequest;
import brig.testing.proto.tasks.ExecProcessRequest;
import brig.testing.proto.tasks.KillRequest;
import brig.testing.proto.tasks.ResizePtyRequest;
import brig.testing.proto.tasks.StartRequest;
import brig.testing.proto.tasks.WaitRequest;
import brig.testing.proto.tasks.WaitResponse;
import com.fasterxml.jackson.databind.JsonNode;
import com.google.common.util.concurrent.ListenableFuture;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A container's init, or a process exec'd in it. */
public final class TestProcess {

  private final TestContainer container;
  private final String execId;
  private final Stdio stdio;
  private int pid;

  TestProcess(TestContainer container, String execId, int pid, Stdio stdio) {
    this.container = container;
    this.execId = execId;
    this.pid = pid;
    this.stdio = stdio;
  }

  static TestProcess exec(TestContainer container, String execId, JsonNode process, Stdio stdio) {
    container
        .client()
        .tasks()
        .exec(
            ExecProcessRequest.newBuilder()
                .setContainerId(container.id())
                .setExecId(execId)
                .setStdin(stdio.stdinPath())
                .setStdout(stdio.stdoutPath())
                .setStderr(stdio.stderrPath())
                .setTerminal(stdio.isTerminal())
                .setSpec(ContainerdClient.json(ContainerdClient.PROCESS, process.toString()))
                .build());
    return new TestProcess(container, execId, 0, stdio);
  }

  public String execId() {
    return execId;
  }

  public Stdio stdio() {
    return stdio;
  }

  /** The host's pid. */
  public int pid() {
    return pid;
  }

  public Proc proc() {
    return new Proc(pid);
  }

  public TestProcess start() {
    pid =
        container
            .client()
            .tasks()
            .start(
                StartRequest.newBuilder().setContainerId(container.id()).setExecId(execId).build())
            .getPid();
    return this;
  }

  /** A Wait under way, as clients send it before Start. */
  public ListenableFuture<WaitResponse> exitAhead() {
    return container
        .client()
        .tasksAsync()
        .wait(WaitRequest.newBuilder().setContainerId(container.id()).setExecId(execId).build());
  }

  /** Waits for the end. */
  public Exit await() {
    return await(exitAhead());
  }

  public static Exit await(ListenableFuture<WaitResponse> wait) {
    try {
      WaitResponse answer = wait.get(120, TimeUnit.SECONDS);
      return new Exit(answer.getExitStatus(), answer.getExitedAt());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof StatusRuntimeException status) {
        throw status;
      }
      throw new AssertionError(e);
    } catch (TimeoutException e) {
      throw new AssertionError("no exit is told", e);
    }
  }

  public void signal(int number) {
    kill(number, false);
  }

  public void kill(int number, boolean all) {
    container
        .client()
        .tasks()
        .kill(
            KillRequest.newBuilder()
                .setContainerId(container.id())
                .setExecId(execId)
                .setSignal(number)
                .setAll(all)
                .build());
  }

  public Process state() {
    return container.process(execId);
  }

  public Status status() {
    return state().getStatus();
  }

  public void closeStdin() {
    container
        .client()
        .tasks()
        .closeIO(
            CloseIORequest.newBuilder()
                .setContainerId(container.id())
                .setExecId(execId)
                .setStdin(true)
                .build());
  }

  public void resize(int columns, int rows) {
    container
        .client()
        .tasks()
        .resizePty(
            ResizePtyRequest.newBuilder()
                .setContainerId(container.id())
                .setExecId(execId)
                .setWidth(columns)
                .setHeight(rows)
                .build());
  }

  /** Forgets an exec'd process. */
  public Exit delete() {
    if (execId.isEmpty()) {
      return container.delete();
    }
    var answer =
        container
            .client()
            .tasks()
            .deleteProcess(
                DeleteProcessRequest.newBuilder()
                    .setContainerId(container.id())
                    .setExecId(execId)
                    .build());
    return new Exit(answer.getExitStatus(), answer.getExitedAt());
  }

  /** Whatever state it is in, it is gone afterwards. */
  void killAndDelete() {
    if (status() == Status.PAUSED) {
      container.resume();
    }
    if (status() != Status.STOPPED) {
      ListenableFuture<WaitResponse> exit = exitAhead();
      try {
        kill(9, true);
        await(exit);
      } catch (StatusRuntimeException e) {
        // It ended by itself in the meantime, or its shim is gone: either way the deletion tells.
        if (e.getStatus().getCode() != Code.NOT_FOUND
            && e.getStatus().getCode() != Code.FAILED_PRECONDITION
            && e.getStatus().getCode() != Code.UNKNOWN) {
          throw e;
        }
      }
    }
    try {
      delete();
    } catch (StatusRuntimeException e) {
      if (e.getStatus().getCode() != Code.NOT_FOUND) {
        throw e;
      }
    }
  }
}
