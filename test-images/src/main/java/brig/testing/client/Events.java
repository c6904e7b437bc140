package brig.testing.client;

import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.proto.containers.Container;
import brig.testing.proto.containers.CreateContainerRequest;
import brig.testing.proto.events.TaskCreate;
import brig.testing.proto.events.TaskDelete;
import brig.testing.proto.events.TaskExecAdded;
import brig.testing.proto.events.TaskExecStarted;
import brig.testing.proto.events.TaskExit;
import brig.testing.proto.events.TaskOOM;
import brig.testing.proto.events.TaskPaused;
import brig.testing.proto.events.TaskResumed;
import brig.testing.proto.events.TaskStart;
import brig.testing.proto.events.service.EventsGrpc;
import brig.testing.proto.events.service.SubscribeRequest;
import brig.testing.proto.types.Envelope;
import brig.testing.spec.OciSpec;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import com.google.protobuf.Parser;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.stub.StreamObserver;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/** containerd's events, in the order in which they came. */
public final class Events implements AutoCloseable {

  /**
   * One event of a task.
   *
   * @param topic as {@code /tasks/exit}
   * @param container the container's id
   * @param process the exec's id; the container's own id for init; empty where the event speaks of
   *     the container
   */
  public record Event(String topic, String container, String process, Message message) {

    @Override
    public String toString() {
      return topic + (process.isEmpty() || process.equals(container) ? "" : " " + process);
    }
  }

  private static final Map<String, Parser<? extends Message>> TYPES =
      Map.of(
          "containerd.events.TaskCreate", TaskCreate.parser(),
          "containerd.events.TaskStart", TaskStart.parser(),
          "containerd.events.TaskExit", TaskExit.parser(),
          "containerd.events.TaskDelete", TaskDelete.parser(),
          "containerd.events.TaskOOM", TaskOOM.parser(),
          "containerd.events.TaskExecAdded", TaskExecAdded.parser(),
          "containerd.events.TaskExecStarted", TaskExecStarted.parser(),
          "containerd.events.TaskPaused", TaskPaused.parser(),
          "containerd.events.TaskResumed", TaskResumed.parser());

  private final CancellableContext context = Context.ROOT.withCancellation();
  private final List<Event> received = new ArrayList<>();
  private int others;

  Events(ContainerdClient client) {
    context.run(() ->
        EventsGrpc.newStub(client.streaming())
            .subscribe(
                SubscribeRequest.newBuilder()
                    .addFilters("namespace==" + client.namespace())
                    .build(),
                new Collector()));
    awaitFlow(client);
  }

  /** The service tells nobody when a subscription stands: events of our own making do. */
  private void awaitFlow(ContainerdClient client) {
    Eventually.holds(
        "the event subscription stands",
        () -> {
          String id = Names.fresh("marker");
          client
              .containers()
              .create(
                  CreateContainerRequest.newBuilder()
                      .setContainer(
                          Container.newBuilder()
                              .setId(id)
                              .setRuntime(
                                  Container.Runtime.newBuilder().setName("io.containerd.none.v1"))
                              .setSpec(
                                  ContainerdClient.json(
                                      ContainerdClient.SPEC, OciSpec.running("x").toString())))
                      .build());
          client.removeContainer(id);
          return Eventually.within(Duration.ofMillis(200), () -> others() > 0);
        });
  }

  private synchronized int others() {
    return others;
  }

  private synchronized void add(Envelope envelope) {
    Any any = envelope.getEvent();
    String type = any.getTypeUrl().substring(any.getTypeUrl().lastIndexOf('/') + 1);
    Parser<? extends Message> parser = TYPES.get(type);
    if (parser == null) {
      others++;
      return;
    }
    try {
      received.add(event(envelope.getTopic(), parser.parseFrom(any.getValue())));
      notifyAll();
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException(e);
    }
  }

  private static Event event(String topic, Message message) {
    return switch (message) {
      case TaskCreate e -> new Event(topic, e.getContainerId(), "", e);
      case TaskStart e -> new Event(topic, e.getContainerId(), "", e);
      case TaskExit e -> new Event(topic, e.getContainerId(), e.getId(), e);
      case TaskDelete e -> new Event(topic, e.getContainerId(), e.getId(), e);
      case TaskOOM e -> new Event(topic, e.getContainerId(), "", e);
      case TaskExecAdded e -> new Event(topic, e.getContainerId(), e.getExecId(), e);
      case TaskExecStarted e -> new Event(topic, e.getContainerId(), e.getExecId(), e);
      case TaskPaused e -> new Event(topic, e.getContainerId(), "", e);
      case TaskResumed e -> new Event(topic, e.getContainerId(), "", e);
      default -> throw new IllegalStateException("an event of type " + message.getClass());
    };
  }

  /** All of a container's events so far. */
  public synchronized List<Event> of(String container) {
    return received.stream().filter(event -> event.container().equals(container)).toList();
  }

  /** Waits for an event of a container and gives all of its events up to then. */
  public synchronized List<Event> until(String container, Predicate<Event> wanted) {
    long end = System.nanoTime() + Duration.ofSeconds(60).toNanos();
    while (of(container).stream().noneMatch(wanted)) {
      long left = Duration.ofNanos(end - System.nanoTime()).toMillis();
      if (left <= 0) {
        throw new AssertionError("the event never came; these did: " + of(container));
      }
      try {
        wait(left);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      }
    }
    return of(container);
  }

  public List<Event> until(String container, String topic) {
    return until(container, event -> event.topic().equals(topic));
  }

  /** Drops a container's events, for who sees thousands of containers. */
  public synchronized void forget(String container) {
    received.removeIf(event -> event.container().equals(container));
  }

  @Override
  public void close() {
    context.cancel(null);
  }

  private final class Collector implements StreamObserver<Envelope> {
    @Override
    public void onNext(Envelope envelope) {
      add(envelope);
    }

    @Override
    public void onError(Throwable problem) {
      // The end of the daemon or of this subscription; a test that waits for more says what is
      // missing.
      synchronized (Events.this) {
        Events.this.notifyAll();
      }
    }

    @Override
    public void onCompleted() {
      synchronized (Events.this) {
        Events.this.notifyAll();
      }
    }
  }
}
