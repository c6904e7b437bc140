package brig.shim.relay;

import brig.proto.keeper.Failure;

/** Native couldn't carry out a step, and says so. */
public final class StepFailure extends Exception {
  private static final long serialVersionUID = 1L;

  private final transient Failure failure;

  public StepFailure(Failure failure) {
    super(failure.getStep() + ": " + failure.getObject() + ": " + failure.getCause());
    this.failure = failure;
  }

  public Failure failure() {
    return failure;
  }

  public int errno() {
    return failure.getErrno();
  }
}
