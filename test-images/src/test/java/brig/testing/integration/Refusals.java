package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;

/** Calls that must fail. */
final class Refusals {

  private Refusals() {}

  /** The status that the call was refused with. */
  static StatusRuntimeException of(ThrowingCallable call) {
    StatusRuntimeException refusal = catchThrowableOfType(StatusRuntimeException.class, call);
    assertThat(refusal).as("the call is refused").isNotNull();
    return refusal;
  }

  static void with(Code code, ThrowingCallable call) {
    StatusRuntimeException refusal = of(call);
    assertThat(refusal.getStatus().getCode()).as("%s", refusal.getStatus()).isEqualTo(code);
  }

  static String words(ThrowingCallable call) {
    String description = of(call).getStatus().getDescription();
    return description == null ? "" : description;
  }
}
