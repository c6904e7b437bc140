package brig.sandbox.lifecycle;

import java.util.Optional;

/**
 * A further process of a container.
 *
 * @param pid 0 before it was started
 */
public record ExecProcess(State state, int pid, Optional<Exit> exit) {
  /** What it has come to. */
  public enum State {
    /** Registered by Exec, not yet started. */
    ADDED,
    RUNNING,
    /** Terminal. */
    STOPPED
  }
}
