package brig.shim.rpc;

import com.google.protobuf.ByteString;
import io.grpc.Attributes;
import io.grpc.Context;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.ServerCall;
import io.grpc.ServerCallHandler;
import io.grpc.Status;
import java.io.IOException;
import java.io.InputStream;
import org.jspecify.annotations.Nullable;

/**
 * One unary call of a generated service, carried by a relayed request.
 *
 * <p>A handler sees what grpc-java promises it: startCall, onReady, onMessage and onHalfClose one
 * after another on the thread that {@link #run} is called on, then onComplete, never while another
 * callback runs. Answer and status leave together when the call is closed; a second close is
 * refused, as in grpc-java.
 */
final class RelayedCall<Q, R> extends ServerCall<Q, R> {
  private final MethodDescriptor<Q, R> method;
  private final Exchange exchange;
  private @Nullable ByteString answer;
  private ServerCall.@Nullable Listener<Q> listener;
  private boolean closed;
  private boolean running = true;
  private boolean completed;

  RelayedCall(MethodDescriptor<Q, R> method, Exchange exchange) {
    this.method = method;
    this.exchange = exchange;
  }

  /** Calls the handler with the request. Faults of the handler come out of here. */
  void run(ServerCallHandler<Q, R> handler, Context context, ByteString payload) {
    Context previous = context.attach();
    try {
      ServerCall.Listener<Q> started = handler.startCall(this, new Metadata());
      listener = started;
      Q message;
      try (InputStream bytes = payload.newInput()) {
        message = method.parseRequest(bytes);
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
      started.onReady();
      started.onMessage(message);
      started.onHalfClose();
    } finally {
      context.detach(previous);
      finish(true);
    }
  }

  @Override
  public void request(int numMessages) {
    // The one message is there already.
  }

  @Override
  public void sendHeaders(Metadata headers) {
    // The relay has nowhere to put them.
  }

  @Override
  public void sendMessage(R message) {
    try (InputStream bytes = method.streamResponse(message)) {
      answer = ByteString.readFrom(bytes);
    } catch (IOException e) {
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close(Status status, Metadata trailers) {
    synchronized (this) {
      if (closed) {
        throw new IllegalStateException("call already closed");
      }
      closed = true;
    }
    ByteString payload = answer;
    if (status.isOk() && payload == null) {
      exchange.answer(
          Status.INTERNAL.withDescription("serve request: no answer"), ByteString.EMPTY);
    } else {
      exchange.answer(status, payload == null ? ByteString.EMPTY : payload);
    }
    finish(false);
  }

  /** Tells the listener that all is over, once nothing else is being told to it. */
  private void finish(boolean callbacksReturned) {
    ServerCall.Listener<Q> told;
    synchronized (this) {
      if (callbacksReturned) {
        running = false;
      }
      if (running || !closed || completed) {
        return;
      }
      completed = true;
      told = listener;
    }
    if (told != null) {
      told.onComplete();
    }
  }

  synchronized boolean isClosed() {
    return closed;
  }

  @Override
  public boolean isCancelled() {
    return false;
  }

  @Override
  public MethodDescriptor<Q, R> getMethodDescriptor() {
    return method;
  }

  @Override
  public Attributes getAttributes() {
    return Attributes.EMPTY;
  }
}
