package brig.shim.rpc;

import brig.proto.keeper.Request;
import brig.shim.log.Log;
import brig.shim.relay.KeeperConnection;
import brig.shim.relay.Steps;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import io.grpc.Context;
import io.grpc.MethodDescriptor;
import io.grpc.ServerMethodDefinition;
import io.grpc.ServerServiceDefinition;
import io.grpc.Status;
import io.grpc.StatusException;
import io.grpc.StatusRuntimeException;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** Finds the method that a relayed request asks for, and answers for those that nobody serves. */
public final class Dispatcher {
  private final Map<String, ServerMethodDefinition<?, ?>> methods = new HashMap<>();
  private final Log log;

  public Dispatcher(List<ServerServiceDefinition> services, Log log) {
    for (ServerServiceDefinition service : services) {
      for (ServerMethodDefinition<?, ?> method : service.getMethods()) {
        methods.put(method.getMethodDescriptor().getFullMethodName(), method);
      }
    }
    this.log = log;
  }

  /** The same handlers under another service name. */
  public static ServerServiceDefinition alias(ServerServiceDefinition service, String name) {
    ServerServiceDefinition.Builder alias = ServerServiceDefinition.builder(name);
    for (ServerMethodDefinition<?, ?> method : service.getMethods()) {
      alias.addMethod(renamed(method, name));
    }
    return alias.build();
  }

  private static <Q, R> ServerMethodDefinition<Q, R> renamed(
      ServerMethodDefinition<Q, R> method, String service) {
    MethodDescriptor<Q, R> descriptor = method.getMethodDescriptor();
    String bare = descriptor.getBareMethodName();
    String full = MethodDescriptor.generateFullMethodName(service, bare == null ? "" : bare);
    return ServerMethodDefinition.create(
        descriptor.toBuilder().setFullMethodName(full).setSchemaDescriptor(null).build(),
        method.getServerCallHandler());
  }

  /**
   * Serves a request. Returns when the handler has taken it, which may be before it is answered.
   *
   * @param context what the handler shall find in {@link Context#current()}
   */
  public void dispatch(Context context, Request request, Steps steps, KeeperConnection connection) {
    Exchange exchange = new Exchange(request, steps, connection);
    String name = request.getService() + "/" + request.getMethod();
    ServerMethodDefinition<?, ?> method = methods.get(name);
    if (method == null) {
      answer(exchange, Status.UNIMPLEMENTED, "serve request: " + name + ": no such method");
    } else if (method.getMethodDescriptor().getType() != MethodDescriptor.MethodType.UNARY) {
      answer(exchange, Status.UNIMPLEMENTED, "serve request: " + name + ": streams aren't relayed");
    } else {
      call(method, exchange, exchange.in(context), request.getPayload());
    }
  }

  private <Q, R> void call(
      ServerMethodDefinition<Q, R> method, Exchange exchange, Context context, ByteString payload) {
    RelayedCall<Q, R> call = new RelayedCall<>(method.getMethodDescriptor(), exchange);
    try {
      call.run(method.getServerCallHandler(), context, payload);
    } catch (Throwable e) {
      if (call.isClosed()) {
        log.with("request", exchange.seq()).error("handler failed after its answer", e);
      } else {
        answerFault(exchange, e);
      }
    }
  }

  private void answerFault(Exchange exchange, Throwable fault) {
    Status status =
        switch (fault) {
          case StatusRuntimeException e -> e.getStatus();
          case StatusException e -> e.getStatus();
          default -> Status.INTERNAL;
        };
    if (status.getCode() == Status.Code.INTERNAL && isMalformed(fault)) {
      answer(
          exchange,
          Status.INVALID_ARGUMENT,
          "parse request: " + exchange.method() + ": no such message");
    } else if (fault instanceof StatusRuntimeException || fault instanceof StatusException) {
      exchange.answer(status, ByteString.EMPTY);
    } else {
      log.with("request", exchange.seq())
          .with("method", exchange.method())
          .error("handler failed", fault);
      answer(
          exchange,
          Status.INTERNAL,
          "serve request: " + exchange.method() + ": internal error; see brigd's log");
    }
  }

  /** grpc-protobuf's marshaller tells of bytes that are no message as INTERNAL, with this cause. */
  private static boolean isMalformed(Throwable fault) {
    return fault.getCause() instanceof InvalidProtocolBufferException;
  }

  private static void answer(Exchange exchange, Status status, String text) {
    exchange.answer(status.withDescription(text), ByteString.EMPTY);
  }
}
