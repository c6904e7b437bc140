package brig.shim.relay;

import java.io.IOException;

/** A peer broke the rules of the socket; the connection ends. */
public final class FrameException extends IOException {
  private static final long serialVersionUID = 1L;

  public FrameException(String message) {
    super(message);
  }

  public FrameException(String message, Throwable cause) {
    super(message, cause);
  }
}
