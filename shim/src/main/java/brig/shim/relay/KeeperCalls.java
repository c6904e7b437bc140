package brig.shim.relay;

import brig.proto.keeper.Call;
import brig.proto.keeper.CallAnswer;
import brig.proto.keeper.CancelCall;
import brig.proto.keeper.ToKeeper;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Calls that clients make of the daemon and that belong to one keeper: it takes each as if it had
 * come on a connection of its own, and sends it back as a numbered request.
 *
 * <p>They end with the keeper's connection, by {@link KeeperLost}; what they asked for doesn't.
 */
public final class KeeperCalls {
  /** Calls that may wait for their answer at one time; Waits count. */
  public static final int MOST = 4096;

  private static final int RESOURCE_EXHAUSTED = 8;

  private final FrameChannel channel;
  private final Map<Integer, CompletableFuture<CallAnswer>> waiting = new ConcurrentHashMap<>();
  private final AtomicInteger last = new AtomicInteger();

  /** Done once the keeper may be spoken to, or is gone. */
  private final CompletableFuture<Void> greeted = new CompletableFuture<>();

  private volatile boolean ended;

  KeeperCalls(FrameChannel channel) {
    this.channel = channel;
  }

  /**
   * Hands a call over, which may come before the keeper has been greeted and then waits for that.
   * Cancelling what is returned ends the waiting alone.
   *
   * @param timeLeft the client's; empty: it waits as long as it takes
   */
  public CompletableFuture<CallAnswer> call(
      String service, String method, ByteString payload, Optional<Duration> timeLeft) {
    int id = last.incrementAndGet();
    if (waiting.size() >= MOST) {
      return CompletableFuture.completedFuture(
          CallAnswer.newBuilder()
              .setId(id)
              .setCode(RESOURCE_EXHAUSTED)
              .setMessage("serve call: " + MOST + " calls of this pod wait already; try later")
              .build());
    }
    greeted.join();
    CompletableFuture<CallAnswer> answer = new CompletableFuture<>();
    waiting.put(id, answer);
    answer.whenComplete((told, fault) -> {
      if (waiting.remove(id) != null && answer.isCancelled()) {
        cancel(id);
      }
    });
    // Nanoseconds; 0 would mean no limit.
    long nanos = timeLeft.map(left -> Math.max(1, left.toNanos())).orElse(0L);
    Call call =
        Call.newBuilder()
            .setId(id)
            .setService(service)
            .setMethod(method)
            .setPayload(payload)
            .setTimeoutNanos(nanos)
            .build();
    try {
      channel.write(ToKeeper.newBuilder().setCall(call).build());
    } catch (IOException e) {
      answer.completeExceptionally(new KeeperLost("call not sent: " + e.getMessage()));
    }
    if (ended) {
      answer.completeExceptionally(new KeeperLost("connection to the keeper has ended"));
    }
    return answer;
  }

  /** Welcome has been sent: what is sent from now on comes after it. */
  void greeted() {
    greeted.complete(null);
  }

  private void cancel(int id) {
    try {
      CancelCall cancel = CancelCall.newBuilder().setId(id).build();
      channel.write(ToKeeper.newBuilder().setCancelCall(cancel).build());
    } catch (IOException e) {
      // The connection has ended, and with it the waiting.
    }
  }

  /** An answer to a call that is cancelled meanwhile goes nowhere. */
  void answered(CallAnswer answer) {
    CompletableFuture<CallAnswer> waiter = waiting.remove(answer.getId());
    if (waiter != null) {
      waiter.complete(answer);
    }
  }

  void end() {
    ended = true;
    greeted.complete(null);
    waiting
        .values()
        .forEach(waiter -> waiter.completeExceptionally(new KeeperLost("connection ended")));
    waiting.clear();
  }
}
