package brig.shim.relay;

import brig.proto.keeper.Drops;
import brig.proto.keeper.FromKeeper;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Request;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.proto.keeper.ToKeeper;
import brig.proto.keeper.Welcome;
import brig.shim.log.Log;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;

/**
 * One keeper's connection after its Hello: hands on requests in their order, carries steps and
 * their results, sends replies.
 *
 * <p>What ends it (the peer, garbage, a failed write) ends every step that waits on it with {@link
 * KeeperLost}; nothing is lost, since the keeper sends its unanswered requests again.
 */
public final class KeeperConnection {
  /** Requests that may wait for their reply at one time; Waits count, and stay for days. */
  public static final int MAX_REQUESTS = 4096;

  private static final int RESOURCE_EXHAUSTED = 8;

  /** Serves what comes over a keeper's connection. */
  public interface Handler {
    /**
     * Called on the connection's reader, in the order of sequence numbers; must not block. Answers
     * through {@link KeeperConnection#reply}, once.
     */
    void request(Request request, Steps steps);

    /** What the keeper had to drop since it began. */
    void drops(Drops drops);

    /** The connection has ended. Called once, after the last request. */
    void closed();
  }

  private record StepKey(long seq, int step) {}

  /**
   * @param since when it came, as {@link System#nanoTime} counts
   */
  private record Open(Request request, long since) {}

  private final FrameChannel channel;
  private final RequestBudget budget;
  private final Meter meter;
  private final Log log;
  private final Map<Long, Open> open = new ConcurrentHashMap<>();
  private final Map<Long, Runnable> cancels = new ConcurrentHashMap<>();
  private final Map<StepKey, CompletableFuture<StepResult>> waiting = new ConcurrentHashMap<>();
  private final KeeperCalls calls;
  private volatile boolean ended;

  KeeperConnection(FrameChannel channel, RequestBudget budget, Meter meter, Log log) {
    this.channel = channel;
    this.budget = budget;
    this.meter = meter;
    this.log = log;
    this.calls = new KeeperCalls(channel);
  }

  /** The way for calls of this keeper's pod that come to the daemon. */
  public KeeperCalls calls() {
    return calls;
  }

  void welcome(Welcome welcome) throws IOException {
    channel.write(ToKeeper.newBuilder().setWelcome(welcome).build());
    if (welcome.getRefused().isEmpty()) {
      calls.greeted();
    }
  }

  /** A frame from the keeper. */
  void frame(ByteString body, Handler handler) throws FrameException {
    FromKeeper message;
    try {
      message = FromKeeper.parseFrom(body);
    } catch (InvalidProtocolBufferException e) {
      throw new FrameException("not a message of the keeper protocol", e);
    }
    switch (message.getMessageCase()) {
      case REQUEST -> request(message.getRequest(), handler);
      case STEP_RESULT -> stepResult(message.getStepResult());
      case CANCEL -> cancel(message.getCancel().getSeq());
      case CALL_ANSWER -> calls.answered(message.getCallAnswer());
      case DROPS -> handler.drops(message.getDrops());
      case MESSAGE_NOT_SET -> throw new FrameException("a message of no known kind");
    }
  }

  private void request(Request request, Handler handler) throws FrameException {
    if (open.size() >= MAX_REQUESTS || !hasRoomFor(request)) {
      refuse(request);
      return;
    }
    if (open.putIfAbsent(request.getSeq(), new Open(request, System.nanoTime())) != null) {
      budget.giveBack(request.getSerializedSize());
      throw new FrameException("request " + request.getSeq() + " sent twice");
    }
    handler.request(request, new NumberedSteps(request.getSeq(), this::carryOut));
  }

  private boolean hasRoomFor(Request request) {
    if (request.getReplayed()) {
      budget.takeAnyway(request.getSerializedSize());
      return true;
    }
    return budget.take(request.getSerializedSize());
  }

  private void refuse(Request request) throws FrameException {
    meter.refused();
    log.with("request", request.getSeq()).warn("too many requests in flight, refused");
    Reply reply =
        Reply.newBuilder()
            .setSeq(request.getSeq())
            .setCode(RESOURCE_EXHAUSTED)
            .setMessage(
                "serve request: too many requests are being served, or too long ones; try later")
            .build();
    try {
      channel.write(ToKeeper.newBuilder().setReply(reply).build());
    } catch (IOException e) {
      throw new FrameException("reply not sent", e);
    }
  }

  /** What it was, if it was open. */
  private Optional<Open> forget(long seq) {
    Optional<Open> forgotten = Optional.ofNullable(open.remove(seq));
    forgotten.ifPresent(request -> budget.giveBack(request.request().getSerializedSize()));
    return forgotten;
  }

  private void cancel(long seq) {
    forget(seq);
    Runnable task = cancels.remove(seq);
    if (task != null) {
      task.run();
    }
  }

  /**
   * Runs this on the connection's reader once nobody waits for the request any more; its reply is
   * then dropped. To be called while the request is handed over ({@link Handler#request}).
   */
  public void onCancel(long seq, Runnable task) {
    cancels.put(seq, task);
  }

  private void stepResult(StepResult result) {
    StepKey key = new StepKey(result.getSeq(), result.getStep());
    CompletableFuture<StepResult> waiter = waiting.remove(key);
    if (waiter == null) {
      log.with("request", key.seq())
          .with("step", key.step())
          .warn("result of a step not asked for");
    } else {
      waiter.complete(result);
    }
  }

  private StepResult carryOut(Step step) {
    CompletableFuture<StepResult> waiter = new CompletableFuture<>();
    StepKey key = new StepKey(step.getSeq(), step.getStep());
    waiting.put(key, waiter);
    if (ended) {
      waiting.remove(key);
      throw new KeeperLost("connection to the keeper has ended");
    }
    try {
      channel.write(ToKeeper.newBuilder().setStep(step).build());
    } catch (IOException e) {
      waiting.remove(key);
      close();
      throw new KeeperLost("step not sent: " + e.getMessage());
    }
    long sent = System.nanoTime();
    try {
      StepResult result = waiter.join();
      boolean done = result.getResultCase() != StepResult.ResultCase.FAILURE;
      meter.step(kind(step), done, System.nanoTime() - sent);
      return result;
    } catch (CompletionException e) {
      throw new KeeperLost("connection to the keeper ended during a step");
    }
  }

  private static String kind(Step step) {
    return step.getActionCase().name().toLowerCase(Locale.ROOT);
  }

  /** A reply made at the moment of its sending. */
  public interface LateReply {
    /**
     * Builds it, and makes what it says the pod's state. No other message to this keeper is built
     * or sent between this call and the reply's own sending, so that whatever follows from the new
     * state comes to the keeper after it.
     */
    Reply make();
  }

  /** Answers a request; answers after the first are dropped. */
  public void reply(long seq, LateReply reply) {
    cancels.remove(seq);
    Optional<Open> request = forget(seq);
    if (request.isEmpty()) {
      return;
    }
    try {
      channel.writeLate(() -> {
        Reply made = reply.make();
        long took = System.nanoTime() - request.get().since();
        meter.call(request.get().request().getMethod(), made.getCode(), took);
        return ToKeeper.newBuilder().setReply(made).build();
      });
    } catch (IOException e) {
      log.with("request", seq).warn("reply not sent: " + e.getMessage());
      close();
    }
  }

  /** Ends the connection from this side; the reader then ends too. */
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      log.warn("connection not closed cleanly: " + e.getMessage());
    }
  }

  /** Fails all that waits. */
  void end() {
    ended = true;
    waiting
        .values()
        .forEach(waiter -> waiter.completeExceptionally(new KeeperLost("connection ended")));
    waiting.clear();
    open.keySet().forEach(this::forget);
    calls.end();
  }
}
