package brig.shim.task;

import brig.proto.containerd.task.CheckpointTaskRequest;
import brig.proto.containerd.task.CloseIORequest;
import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.ConnectResponse;
import brig.proto.containerd.task.CreateTaskRequest;
import brig.proto.containerd.task.CreateTaskResponse;
import brig.proto.containerd.task.DeleteRequest;
import brig.proto.containerd.task.DeleteResponse;
import brig.proto.containerd.task.ExecProcessRequest;
import brig.proto.containerd.task.KillRequest;
import brig.proto.containerd.task.PauseRequest;
import brig.proto.containerd.task.PidsRequest;
import brig.proto.containerd.task.PidsResponse;
import brig.proto.containerd.task.ResizePtyRequest;
import brig.proto.containerd.task.ResumeRequest;
import brig.proto.containerd.task.ShutdownRequest;
import brig.proto.containerd.task.StartRequest;
import brig.proto.containerd.task.StartResponse;
import brig.proto.containerd.task.StateRequest;
import brig.proto.containerd.task.StateResponse;
import brig.proto.containerd.task.StatsRequest;
import brig.proto.containerd.task.StatsResponse;
import brig.proto.containerd.task.TaskGrpc;
import brig.proto.containerd.task.UpdateTaskRequest;
import brig.proto.containerd.task.WaitRequest;
import brig.proto.containerd.task.WaitResponse;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.systemd.Scopes;
import brig.shim.log.Log;
import brig.shim.relay.StepFailure;
import brig.shim.rpc.Exchange;
import com.google.protobuf.Empty;
import io.grpc.stub.StreamObserver;
import java.time.Clock;
import java.time.Duration;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * containerd's task service: sends each method where it may run.
 *
 * <p>Called on a connection's reader, so nothing here blocks. State, Connect, Wait, Checkpoint and
 * Shutdown are answered from what is known. Create, Start, Delete, Pause, Resume, Update and Exec
 * wait for their turn in the container's queue; the same of an exec, and what is done to its
 * terminal, in the exec's. Kill, Pids, Stats, and ResizePty and CloseIO of init have a thread of
 * their own, for they must get through when something else hangs.
 */
public final class TaskService extends TaskGrpc.TaskImplBase {
  /** Name of the service's next version, which differs in nothing else. */
  public static final String V3_NAME = "containerd.task.v3.Task";

  /** How long a Delete waits for a Create that is being undone; containerd waits 10 s. */
  static final Duration UNDO_LIMIT = Duration.ofSeconds(8);

  private final Answers answers;
  private final CreateTask creation;
  private final StartTask starting;
  private final ExecTask execs;
  private final DeleteTask deletion;
  private final ControlTask control;
  private final QueryTask queries;

  /**
   * @param version of the program, for Connect
   * @param systemd for containers that are to stand in a scope
   */
  public TaskService(String version, Scopes systemd, Clock clock, Log log) {
    Events events = new Events(clock);
    ScopeKeeping scopes = new ScopeKeeping(systemd);
    this.answers = new Answers(log);
    this.creation = new CreateTask(events, scopes, clock);
    this.starting = new StartTask(events, clock);
    this.execs = new ExecTask(events, clock);
    this.deletion = new DeleteTask(events, scopes, clock);
    this.control = new ControlTask(events, scopes);
    this.queries = new QueryTask(version);
  }

  @Override
  public void create(CreateTaskRequest request, StreamObserver<CreateTaskResponse> observer) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    Container container = pod.createBegins(request.getId());
    exchange.change(reply -> pod.createEnds(container));
    container.submit(() -> {
      answers.answer(
          exchange,
          request.getId(),
          observer,
          () -> creation.run(pod, container, exchange, request));
      pod.forgetIfVacant(container);
    });
  }

  @Override
  public void start(StartRequest request, StreamObserver<StartResponse> observer) {
    queued(
        "start",
        request.getId(),
        request.getExecId(),
        observer,
        (pod, container, exchange) ->
            request.getExecId().isEmpty()
                ? starting.run(container, exchange, request)
                : execs.start(pod, container, exchange, request));
  }

  @Override
  public void delete(DeleteRequest request, StreamObserver<DeleteResponse> observer) {
    if (request.getExecId().isEmpty()) {
      deleteContainer(request.getId(), observer);
    } else {
      queued(
          "delete",
          request.getId(),
          request.getExecId(),
          observer,
          (pod, container, exchange) -> deletion.exec(container, exchange, request));
    }
  }

  private void deleteContainer(String id, StreamObserver<DeleteResponse> observer) {
    Pod pod = Pod.current();
    boolean creating = pod.find(id).map(Container::isCreating).orElse(false);
    if (creating) {
      direct(
          "delete",
          id,
          observer,
          (ownPod, container, exchange) -> deleteUnborn(ownPod, container, exchange));
    } else {
      queued(
          "delete",
          id,
          "",
          observer,
          (ownPod, container, exchange) -> {
            deletion.beginAtOnce(exchange.steps());
            return deletion.container(ownPod, container, exchange);
          });
    }
  }

  /** Makes the Create fail, and then waits for its turn, though not for ever. */
  private DeleteResponse deleteUnborn(Pod pod, Container container, Exchange exchange)
      throws BrigException, StepFailure {
    deletion.begin(container, exchange.steps());
    CompletableFuture<Void> turn = new CompletableFuture<>();
    CompletableFuture<Void> over = new CompletableFuture<>();
    AtomicBoolean given = new AtomicBoolean();
    pod.submit(
        "delete",
        container.id(),
        "",
        same -> {
          if (given.compareAndSet(false, true)) {
            turn.complete(null);
            over.join();
          }
        });
    try {
      turn.completeOnTimeout(null, UNDO_LIMIT.toMillis(), TimeUnit.MILLISECONDS).join();
      if (given.compareAndSet(false, true)) {
        throw new BrigException(
            Kind.DEADLINE_EXCEEDED,
            "delete",
            container.id(),
            "its creation hangs and can't be undone yet",
            "look for a mount that doesn't answer");
      }
      return deletion.container(pod, container, exchange);
    } finally {
      over.complete(null);
    }
  }

  @Override
  public void exec(ExecProcessRequest request, StreamObserver<Empty> observer) {
    queued(
        "exec",
        request.getId(),
        "",
        observer,
        (pod, container, exchange) -> execs.add(pod, container, exchange, request));
  }

  @Override
  public void pause(PauseRequest request, StreamObserver<Empty> observer) {
    queued("pause", request.getId(), "", observer, control::pause);
  }

  @Override
  public void resume(ResumeRequest request, StreamObserver<Empty> observer) {
    queued("resume", request.getId(), "", observer, control::resume);
  }

  @Override
  public void update(UpdateTaskRequest request, StreamObserver<Empty> observer) {
    queued(
        "update",
        request.getId(),
        "",
        observer,
        (pod, container, exchange) -> control.update(pod, container, exchange, request));
  }

  @Override
  public void kill(KillRequest request, StreamObserver<Empty> observer) {
    direct(
        "kill",
        request.getId(),
        observer,
        (pod, container, exchange) -> control.kill(container, exchange, request));
  }

  @Override
  public void resizePty(ResizePtyRequest request, StreamObserver<Empty> observer) {
    directForInit(
        "resize",
        request.getId(),
        request.getExecId(),
        observer,
        (pod, container, exchange) -> control.resize(container, exchange, request));
  }

  @Override
  public void closeIO(CloseIORequest request, StreamObserver<Empty> observer) {
    directForInit(
        "close io",
        request.getId(),
        request.getExecId(),
        observer,
        (pod, container, exchange) -> control.closeIo(container, exchange, request));
  }

  @Override
  public void pids(PidsRequest request, StreamObserver<PidsResponse> observer) {
    direct(
        "pids",
        request.getId(),
        observer,
        (pod, container, exchange) -> queries.pids(container, exchange));
  }

  @Override
  public void stats(StatsRequest request, StreamObserver<StatsResponse> observer) {
    direct(
        "stats",
        request.getId(),
        observer,
        (pod, container, exchange) -> queries.stats(container, exchange));
  }

  @Override
  public void state(StateRequest request, StreamObserver<StateResponse> observer) {
    Pod pod = Pod.current();
    answers.answer(
        Exchange.current(),
        request.getId(),
        observer,
        () -> queries.state(pod.container("state", request.getId()), request));
  }

  @Override
  public void connect(ConnectRequest request, StreamObserver<ConnectResponse> observer) {
    Pod pod = Pod.current();
    answers.answer(
        Exchange.current(), request.getId(), observer, () -> queries.connect(pod, request));
  }

  @Override
  public void checkpoint(CheckpointTaskRequest request, StreamObserver<Empty> observer) {
    Pod pod = Pod.current();
    answers.answer(
        Exchange.current(),
        request.getId(),
        observer,
        () -> {
          pod.container("checkpoint", request.getId()).require("checkpoint");
          throw new BrigException(
              Kind.UNIMPLEMENTED,
              "checkpoint",
              request.getId(),
              "checkpoints aren't supported: restoring one would run state that no plan has made",
              "");
        });
  }

  @Override
  public void shutdown(ShutdownRequest request, StreamObserver<Empty> observer) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    if (pod.isEmpty()) {
      exchange.shutDown();
    }
    answers.answer(exchange, request.getId(), observer, Empty::getDefaultInstance);
  }

  @Override
  public void wait(WaitRequest request, StreamObserver<WaitResponse> observer) {
    Exchange exchange = Exchange.current();
    CompletableFuture<Exit> exit;
    try {
      exit = Pod.current().container("wait", request.getId()).exit("wait", request.getExecId());
    } catch (BrigException e) {
      answers.refuse(exchange, request.getId(), observer, e);
      return;
    }
    exchange.onCancel(() -> exit.cancel(false));
    exchange.timeLeft().ifPresent(limit -> exit.orTimeout(limit.toNanos(), TimeUnit.NANOSECONDS));
    exit.whenCompleteAsync(
        (how, why) ->
            answers.answer(exchange, request.getId(), observer, () -> waited(request, how, why)),
        Thread::startVirtualThread);
  }

  private static WaitResponse waited(
      WaitRequest request,
      @org.jspecify.annotations.Nullable Exit exit,
      @org.jspecify.annotations.Nullable Throwable why)
      throws BrigException {
    if (exit != null) {
      return WaitResponse.newBuilder()
          .setExitStatus(exit.status())
          .setExitedAt(Events.timestamp(exit.at()))
          .build();
    }
    boolean late =
        why instanceof TimeoutException
            || (why != null && why.getCause() instanceof TimeoutException);
    throw late
        ? new BrigException(
            Kind.DEADLINE_EXCEEDED,
            "wait",
            request.getId(),
            "the process has not ended in time",
            "")
        : new BrigException(
            Kind.NOT_FOUND, "wait", request.getId(), "process not found: it was deleted", "");
  }

  /** What a method does with a container. */
  private interface Method<R> {
    R run(Pod pod, Container container, Exchange exchange) throws BrigException, StepFailure;
  }

  /** In the queue of the container, or of the exec. */
  private <R> void queued(
      String step, String id, String execId, StreamObserver<R> observer, Method<R> method) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    try {
      pod.submit(
          step,
          id,
          execId,
          container ->
              answers.answer(exchange, id, observer, () -> method.run(pod, container, exchange)));
    } catch (BrigException e) {
      answers.refuse(exchange, id, observer, e);
    }
  }

  /** On a thread of its own. */
  private <R> void direct(String step, String id, StreamObserver<R> observer, Method<R> method) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    Thread.startVirtualThread(() ->
        answers.answer(
            exchange, id, observer, () -> method.run(pod, pod.container(step, id), exchange)));
  }

  private <R> void directForInit(
      String step, String id, String execId, StreamObserver<R> observer, Method<R> method) {
    if (execId.isEmpty()) {
      direct(step, id, observer, method);
    } else {
      queued(step, id, execId, observer, method);
    }
  }
}
