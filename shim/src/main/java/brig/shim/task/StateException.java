package brig.shim.task;

/** A keeper holds a container's state that this daemon can't read. */
public final class StateException extends Exception {
  private static final long serialVersionUID = 1L;

  StateException(String message) {
    super(message);
  }

  StateException(String message, Throwable cause) {
    super(message, cause);
  }
}
