package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;

/** Refusals of planning; the object is the spec's field. */
final class Refusal {
  private static final String STEP = "plan";

  private Refusal() {}

  /** The request contradicts itself or names something that can't be. */
  static BrigException invalid(String field, String reason, String remedy) {
    return new BrigException(Kind.INVALID_ARGUMENT, STEP, field, reason, remedy);
  }

  /** This host, or its configuration, doesn't allow it. */
  static BrigException host(String field, String reason, String remedy) {
    return new BrigException(Kind.FAILED_PRECONDITION, STEP, field, reason, remedy);
  }

  /** The specification has it; this wall doesn't enforce it. */
  static BrigException notEnforced(String field, String reason, String remedy) {
    return new BrigException(Kind.UNIMPLEMENTED, STEP, field, reason, remedy);
  }
}
