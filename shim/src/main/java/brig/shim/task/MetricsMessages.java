package brig.shim.task;

import brig.sandbox.plan.Metrics;
import brig.sandbox.plan.MetricsV1;
import brig.sandbox.plan.MetricsV2;
import com.google.protobuf.Any;
import com.google.protobuf.Message;

/** Resource use in one of containerd's two messages. */
final class MetricsMessages {
  private MetricsMessages() {}

  static Any any(Metrics metrics) {
    Message message =
        switch (metrics) {
          case MetricsV1 v1 -> V1Messages.of(v1);
          case MetricsV2 v2 -> V2Messages.of(v2);
        };
    return Any.newBuilder()
        .setTypeUrl(message.getDescriptorForType().getFullName())
        .setValue(message.toByteString())
        .build();
  }
}
