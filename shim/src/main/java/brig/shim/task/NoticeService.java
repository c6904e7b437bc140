package brig.shim.task;

import brig.proto.keeper.ExitedNotice;
import brig.proto.keeper.OomNotice;
import brig.proto.keeper.RemovedNotice;
import brig.sandbox.BrigException;
import brig.shim.log.Log;
import brig.shim.rpc.Exchange;
import com.google.protobuf.Empty;
import com.google.protobuf.Message;
import io.grpc.MethodDescriptor;
import io.grpc.ServerServiceDefinition;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ServerCalls;
import io.grpc.stub.StreamObserver;
import java.time.Clock;
import java.util.concurrent.CompletableFuture;

/**
 * The keeper's own requests, which come the same way as containerd's and are numbered with them.
 */
public final class NoticeService {
  private static final String NAME = "brig.keeper.v1.Notice";

  private final Answers answers;
  private final Notices notices;

  public NoticeService(Clock clock, Log log) {
    this.answers = new Answers(log);
    this.notices = new Notices(new Events(clock));
  }

  public ServerServiceDefinition bind() {
    return ServerServiceDefinition.builder(NAME)
        .addMethod(
            method("Exited", ExitedNotice.getDefaultInstance()),
            ServerCalls.asyncUnaryCall(this::exited))
        .addMethod(
            method("OomKilled", OomNotice.getDefaultInstance()),
            ServerCalls.asyncUnaryCall(this::oomKilled))
        .addMethod(
            method("Removed", RemovedNotice.getDefaultInstance()),
            ServerCalls.asyncUnaryCall(this::removed))
        .build();
  }

  private static <Q extends Message> MethodDescriptor<Q, Empty> method(String name, Q request) {
    return MethodDescriptor.<Q, Empty>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName(MethodDescriptor.generateFullMethodName(NAME, name))
        .setRequestMarshaller(ProtoUtils.marshaller(request))
        .setResponseMarshaller(ProtoUtils.marshaller(Empty.getDefaultInstance()))
        .build();
  }

  /** An exec's exit goes through the exec's queue; init's waits for those that came before it. */
  private void exited(ExitedNotice notice, StreamObserver<Empty> observer) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    String id = notice.getContainerId();
    String execId = notice.getExecId();
    CompletableFuture<Void> told =
        execId.isEmpty()
            ? new CompletableFuture<>()
            : pod.find(id).map(Container::execExitArrived).orElseGet(CompletableFuture::new);
    CompletableFuture<Void> before =
        execId.isEmpty()
            ? pod.find(id)
                .map(Container::execExitsSoFar)
                .orElseGet(() -> CompletableFuture.completedFuture(null))
            : CompletableFuture.completedFuture(null);
    inQueue(
        pod,
        exchange,
        id,
        execId,
        observer,
        container -> {
          before.join();
          return notices.exited(container, exchange, notice);
        },
        () -> told.complete(null));
  }

  private void oomKilled(OomNotice notice, StreamObserver<Empty> observer) {
    Exchange exchange = Exchange.current();
    inQueue(
        Pod.current(),
        exchange,
        notice.getContainerId(),
        "",
        observer,
        container -> notices.oomKilled(container, exchange, notice),
        () -> {});
  }

  private void removed(RemovedNotice notice, StreamObserver<Empty> observer) {
    Pod pod = Pod.current();
    Exchange exchange = Exchange.current();
    inQueue(
        pod,
        exchange,
        notice.getContainerId(),
        "",
        observer,
        container -> notices.removed(pod, container, exchange),
        () -> {});
  }

  private interface Told {
    Empty run(Container container);
  }

  private void inQueue(
      Pod pod,
      Exchange exchange,
      String id,
      String execId,
      StreamObserver<Empty> observer,
      Told told,
      Runnable afterwards) {
    try {
      pod.submit(
          "notice",
          id,
          execId,
          container -> {
            answers.answer(exchange, id, observer, () -> told.run(container));
            afterwards.run();
          });
    } catch (BrigException e) {
      // The container is gone; the keeper may forget the notice.
      answers.answer(exchange, id, observer, Empty::getDefaultInstance);
      afterwards.run();
    }
  }
}
