package brig.shim.task;

import brig.proto.containerd.task.CreateTaskRequest;
import brig.sandbox.BrigException;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;

/** What a Create brings besides config.json. */
public final class RequestFuzzTarget {
  private RequestFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    CreateTaskRequest request;
    try {
      request = CreateTaskRequest.parseFrom(bytes);
    } catch (InvalidProtocolBufferException refused) {
      return;
    }
    try {
      Requests.checkId("create", request.getId());
      Requests.checkBundle(request.getBundle());
      Requests.runcOptions(request.hasOptions() ? request.getOptions() : Any.getDefaultInstance());
    } catch (BrigException refused) {
      if (refused.kind() != BrigException.Kind.INVALID_ARGUMENT) {
        throw new IllegalStateException(refused);
      }
    }
    if (request.getId().contains("/") && isAccepted(request.getId())) {
      throw new IllegalStateException("an id that is a path");
    }
  }

  private static boolean isAccepted(String id) {
    try {
      Requests.checkId("create", id);
      return true;
    } catch (BrigException refused) {
      return false;
    }
  }
}
