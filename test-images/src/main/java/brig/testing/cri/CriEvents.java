package brig.testing.cri;

import brig.testing.Eventually;
import brig.testing.proto.cri.ContainerEventResponse;
import brig.testing.proto.cri.ContainerEventType;
import brig.testing.proto.cri.GetEventsRequest;
import io.grpc.Context;
import io.grpc.Context.CancellableContext;
import io.grpc.stub.StreamObserver;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;

/** CRI's lifecycle events (containerd 1.7 and later), from the subscription on. */
public final class CriEvents implements AutoCloseable {

  private final List<ContainerEventResponse> seen = new CopyOnWriteArrayList<>();
  private final CancellableContext context = Context.current().withCancellation();

  public CriEvents(CriClient client) {
    context.run(() ->
        client
            .streaming()
            .getContainerEvents(GetEventsRequest.getDefaultInstance(), new Collector()));
  }

  /** What has been told of a container or pod so far. */
  public List<ContainerEventType> of(String id) {
    return seen.stream()
        .filter(event -> event.getContainerId().equals(id))
        .map(ContainerEventResponse::getContainerEventType)
        .toList();
  }

  /** Everything told of it up to this event. */
  public List<ContainerEventType> until(String id, ContainerEventType last) {
    Eventually.holds(last + " is told of " + id, () -> of(id).contains(last), () -> of(id));
    return of(id);
  }

  /** Whether nothing more will come. */
  public boolean isOver() {
    return context.isCancelled();
  }

  @Override
  public void close() {
    context.cancel(null);
  }

  private final class Collector implements StreamObserver<ContainerEventResponse> {
    @Override
    public void onNext(ContainerEventResponse event) {
      seen.add(event);
    }

    @Override
    public void onError(Throwable problem) {
      // The end of the daemon or of this subscription; who waits for more says what is missing.
      context.cancel(problem);
    }

    @Override
    public void onCompleted() {
      context.cancel(null);
    }
  }
}
