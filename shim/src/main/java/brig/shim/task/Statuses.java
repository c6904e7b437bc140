package brig.shim.task;

import brig.proto.containerd.v1.types.Status;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Lifecycle;
import java.util.Locale;

/** States in containerd's words. */
public final class Statuses {
  private Statuses() {}

  public static Status ofInit(ContainerState state) {
    return switch (state.lifecycle().state()) {
      case CREATED -> Status.CREATED;
      case RUNNING -> Status.RUNNING;
      case PAUSED -> Status.PAUSED;
      case STOPPED, DELETED -> Status.STOPPED;
    };
  }

  /** As commands and metrics say it. */
  public static String name(ContainerState state) {
    return ofInit(state).name().toLowerCase(Locale.ROOT);
  }

  /**
   * An exec that runs in a paused container is paused. One whose start failed has never run: its
   * end is told to those who wait for it, but it stays created, as under runc's shim.
   */
  static Status ofExec(ContainerState state, ExecProcess exec) {
    return switch (exec.state()) {
      case ADDED -> Status.CREATED;
      case RUNNING ->
          state.lifecycle().state() == Lifecycle.State.PAUSED ? Status.PAUSED : Status.RUNNING;
      case STOPPED -> exec.pid() == 0 ? Status.CREATED : Status.STOPPED;
    };
  }
}
