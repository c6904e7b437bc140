package brig.shim.grpc;

import brig.proto.keeper.CallAnswer;
import brig.shim.relay.KeeperCalls;
import com.google.protobuf.ByteString;
import io.grpc.Context;
import io.grpc.Deadline;
import io.grpc.MethodDescriptor;
import io.grpc.MethodDescriptor.MethodType;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.stub.ServerCallStreamObserver;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/**
 * A generated service's methods, each of which hands its bytes to a keeper and waits for its
 * answer.
 */
final class ForwardedService {
  private final KeeperCalls calls;

  ForwardedService(KeeperCalls calls) {
    this.calls = calls;
  }

  /** The unary methods of {@code service} under their own names. */
  ServerServiceDefinition of(ServerServiceDefinition service) {
    String name = service.getServiceDescriptor().getName();
    ServerServiceDefinition.Builder forwarded = ServerServiceDefinition.builder(name);
    for (ServerMethodDefinition<?, ?> method : service.getMethods()) {
      MethodDescriptor<?, ?> descriptor = method.getMethodDescriptor();
      String bare = descriptor.getBareMethodName();
      if (descriptor.getType() == MethodType.UNARY && bare != null) {
        forwarded.addMethod(
            MethodDescriptor.newBuilder(Bytes.MARSHALLER, Bytes.MARSHALLER)
                .setType(MethodType.UNARY)
                .setFullMethodName(descriptor.getFullMethodName())
                .build(),
            ServerCalls.asyncUnaryCall(
                (payload, observer) -> forward(name, bare, payload, observer)));
      }
    }
    return forwarded.build();
  }

  private void forward(
      String service, String method, ByteString payload, StreamObserver<ByteString> observer) {
    CompletableFuture<CallAnswer> answer = calls.call(service, method, payload, timeLeft());
    // A client that gives up is not answered, and must not keep a place in the keeper.
    ((ServerCallStreamObserver<ByteString>) observer)
        .setOnCancelHandler(() -> answer.cancel(false));
    answer.whenComplete((told, fault) -> finish(observer, told, fault));
  }

  private static Optional<Duration> timeLeft() {
    Deadline deadline = Context.current().getDeadline();
    return deadline == null
        ? Optional.empty()
        : Optional.of(Duration.ofNanos(deadline.timeRemaining(TimeUnit.NANOSECONDS)));
  }

  private static void finish(
      StreamObserver<ByteString> observer, @Nullable CallAnswer told, @Nullable Throwable fault) {
    if (told == null) {
      String cause = fault == null ? "no answer" : String.valueOf(fault.getMessage());
      observer.onError(
          Status.UNAVAILABLE.withDescription("serve call: " + cause).asRuntimeException());
    } else if (told.getCode() == Status.Code.OK.value()) {
      observer.onNext(told.getPayload());
      observer.onCompleted();
    } else {
      observer.onError(
          Status.fromCodeValue(told.getCode())
              .withDescription(told.getMessage())
              .asRuntimeException());
    }
  }

  /** Messages stay as they are: the keeper and the handler read them. */
  private static final class Bytes implements MethodDescriptor.Marshaller<ByteString> {
    static final Bytes MARSHALLER = new Bytes();

    @Override
    public InputStream stream(ByteString value) {
      return value.newInput();
    }

    @Override
    public ByteString parse(InputStream stream) {
      try {
        return ByteString.readFrom(stream);
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }
}
