package brig.shim.task;

import brig.sandbox.BrigException;
import brig.shim.log.Log;
import brig.shim.relay.KeeperLost;
import brig.shim.relay.StepFailure;
import brig.shim.rpc.Exchange;
import io.grpc.Status;
import io.grpc.stub.StreamObserver;

/**
 * Turns what a handler returns or throws into its answer.
 *
 * <p>A refusal keeps its kind and its text; a failure of native is UNKNOWN, as containerd's own
 * shim has it; a fault of the program is told to the log, and to the client only that there was
 * one.
 */
final class Answers {
  /** What a method does. */
  interface Work<R> {
    R run() throws BrigException, StepFailure;
  }

  private final Log log;

  Answers(Log log) {
    this.log = log;
  }

  <R> void answer(Exchange exchange, String id, StreamObserver<R> observer, Work<R> work) {
    R result;
    try {
      result = work.run();
    } catch (Throwable e) {
      refuse(exchange, id, observer, e);
      return;
    }
    observer.onNext(result);
    observer.onCompleted();
  }

  void refuse(Exchange exchange, String id, StreamObserver<?> observer, Throwable why) {
    if (why instanceof KeeperLost) {
      return;
    }
    observer.onError(status(exchange, id, why).asRuntimeException());
  }

  private Status status(Exchange exchange, String id, Throwable why) {
    return switch (why) {
      case BrigException e -> Status.fromCode(code(e.kind())).withDescription(e.getMessage());
      case StepFailure e -> Status.UNKNOWN.withDescription(ErrorText.of(e.failure()));
      default -> {
        log.with("container", id)
            .with("request", exchange.seq())
            .with("method", exchange.method())
            .error("handler failed", why);
        yield Status.INTERNAL.withDescription(
            "serve request: " + exchange.method() + ": internal error; see brigd's log");
      }
    };
  }

  private static Status.Code code(BrigException.Kind kind) {
    return switch (kind) {
      case INVALID_ARGUMENT -> Status.Code.INVALID_ARGUMENT;
      case NOT_FOUND -> Status.Code.NOT_FOUND;
      case ALREADY_EXISTS -> Status.Code.ALREADY_EXISTS;
      case PERMISSION_DENIED -> Status.Code.PERMISSION_DENIED;
      case FAILED_PRECONDITION -> Status.Code.FAILED_PRECONDITION;
      case RESOURCE_EXHAUSTED -> Status.Code.RESOURCE_EXHAUSTED;
      case DEADLINE_EXCEEDED -> Status.Code.DEADLINE_EXCEEDED;
      case UNIMPLEMENTED -> Status.Code.UNIMPLEMENTED;
      case UNAVAILABLE -> Status.Code.UNAVAILABLE;
      case INTERNAL -> Status.Code.INTERNAL;
      case UNKNOWN -> Status.Code.UNKNOWN;
    };
  }
}
