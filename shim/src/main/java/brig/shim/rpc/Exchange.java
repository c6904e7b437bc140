package brig.shim.rpc;

import brig.proto.keeper.Event;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Request;
import brig.shim.relay.KeeperConnection;
import brig.shim.relay.Steps;
import com.google.protobuf.ByteString;
import io.grpc.Context;
import io.grpc.Status;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * One request of a keeper while it is served: the steps it may take, and what its Reply will carry
 * besides the answer.
 *
 * <p>Used by one thread at a time. What is added after the answer is lost.
 */
public final class Exchange {
  /** Of an error. */
  static final int LONGEST_TEXT = 8192;

  private static final Context.Key<Exchange> KEY = Context.key("exchange");

  private final Request request;
  private final Steps steps;
  private final KeeperConnection connection;
  private final List<Event> events = new ArrayList<>();
  private final List<Effect> effects = new ArrayList<>();
  private boolean shutdown;

  Exchange(Request request, Steps steps, KeeperConnection connection) {
    this.request = request;
    this.steps = steps;
    this.connection = connection;
  }

  /** The exchange that the calling handler was invoked for. */
  public static Exchange current() {
    Exchange exchange = KEY.get();
    if (exchange == null) {
      throw new IllegalStateException("called outside of a relayed request");
    }
    return exchange;
  }

  Context in(Context context) {
    return context.withValue(KEY, this);
  }

  public Steps steps() {
    return steps;
  }

  public long seq() {
    return request.getSeq();
  }

  /**
   * Whether another daemon has been asked this before. Its steps may have been carried out, and
   * what they led to may be in the pod's state by now.
   */
  public boolean isReplayed() {
    return request.getReplayed();
  }

  public String method() {
    return request.getMethod();
  }

  /** Time that the client had left when the request was sent to the daemon. */
  public Optional<Duration> timeLeft() {
    long nanos = request.getTimeoutNanos();
    return nanos > 0 ? Optional.of(Duration.ofNanos(nanos)) : Optional.empty();
  }

  /**
   * What to do when nobody waits for the answer any more. To be called before the handler returns.
   */
  public void onCancel(Runnable task) {
    connection.onCancel(request.getSeq(), task);
  }

  /** An event to publish; in the order of these calls, whatever the answer is. */
  public void publish(Event event) {
    events.add(event);
  }

  /** A change to the pod's state; made whatever the answer is. */
  public void change(Effect effect) {
    effects.add(effect);
  }

  /** The keeper shall end once this is answered. */
  public void shutDown() {
    shutdown = true;
  }

  void answer(Status status, ByteString payload) {
    connection.reply(request.getSeq(), () -> reply(status, payload));
  }

  /** Texts may quote what a client sent, and end in logs and in frames of 4 MiB. */
  private static String cut(String text) {
    return text.length() > LONGEST_TEXT ? text.substring(0, LONGEST_TEXT) + "..." : text;
  }

  private Reply reply(Status status, ByteString payload) {
    Reply.Builder reply =
        Reply.newBuilder().setSeq(request.getSeq()).setCode(status.getCode().value());
    if (status.isOk()) {
      reply.setPayload(payload);
    } else {
      String description = status.getDescription();
      reply.setMessage(cut(description == null ? status.getCode().toString() : description));
    }
    reply.addAllEvents(events).setShutdown(shutdown);
    effects.forEach(effect -> effect.make(reply));
    return reply.build();
  }
}
