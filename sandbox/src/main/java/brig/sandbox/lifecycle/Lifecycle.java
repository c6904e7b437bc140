package brig.sandbox.lifecycle;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * The state machine of one container, its init and its execs, as an immutable value: each
 * transition gives the next value or refuses and leaves everything as it was. So a caller asks for
 * the next value, does the work, and keeps the value only where the work succeeded.
 *
 * <p>{@code exec_id} is empty for init everywhere. Errors carry the kind and the words that
 * containerd's clients look for.
 *
 * <table>
 * <caption>Transitions; "-" refuses, "=" stays</caption>
 * <tr><th>state</th><th>start</th><th>pause</th><th>resume</th><th>init exits</th><th>add exec</th>
 *     <th>start exec</th><th>kill</th><th>update</th><th>stats</th><th>delete</th></tr>
 * <tr><td>CREATED</td><td>RUNNING</td><td>-</td><td>-</td><td>STOPPED</td><td>=</td><td>=</td>
 *     <td>=</td><td>=</td><td>=</td><td>DELETED (init is killed first)</td></tr>
 * <tr><td>RUNNING</td><td>-</td><td>PAUSED</td><td>-</td><td>STOPPED</td><td>=</td><td>=</td>
 *     <td>=</td><td>=</td><td>=</td><td>-</td></tr>
 * <tr><td>PAUSED</td><td>-</td><td>-</td><td>RUNNING</td><td>STOPPED</td><td>-</td><td>-</td>
 *     <td>=</td><td>=</td><td>=</td><td>-</td></tr>
 * <tr><td>STOPPED</td><td>-</td><td>-</td><td>-</td><td>=</td><td>-</td><td>-</td><td>-</td>
 *     <td>-</td><td>-</td><td>DELETED</td></tr>
 * <tr><td>DELETED</td><td>-</td><td>-</td><td>-</td><td>=</td><td>-</td><td>-</td><td>-</td>
 *     <td>-</td><td>-</td><td>-</td></tr>
 * </table>
 *
 * <table>
 * <caption>An exec</caption>
 * <tr><th>state</th><th>start</th><th>exits</th><th>kill</th><th>resize</th><th>delete</th></tr>
 * <tr><td>ADDED</td><td>RUNNING</td><td>STOPPED (its start failed)</td><td>-</td><td>=</td>
 *     <td>gone</td></tr>
 * <tr><td>RUNNING</td><td>-</td><td>STOPPED</td><td>=</td><td>=</td><td>-</td></tr>
 * <tr><td>STOPPED</td><td>-</td><td>=</td><td>-</td><td>-</td><td>gone</td></tr>
 * </table>
 *
 * @param pid host pid of init, kept after its exit
 */
public record Lifecycle(
    String id, State state, int pid, Optional<Exit> exit, Map<String, ExecProcess> execs) {
  /** The container's state. */
  public enum State {
    CREATED,
    RUNNING,
    PAUSED,
    /** Init has ended; only deletion is left. */
    STOPPED,
    /** Terminal. */
    DELETED
  }

  public Lifecycle {
    execs = Map.copyOf(execs);
  }

  /** A container whose init stands at its barrier. */
  public static Lifecycle created(String id, int pid) {
    return new Lifecycle(id, State.CREATED, pid, Optional.empty(), Map.of());
  }

  /** Init goes on to its program. */
  public Lifecycle start() throws BrigException {
    return switch (state) {
      case CREATED -> with(State.RUNNING);
      case RUNNING -> throw refuse(Kind.UNKNOWN, "start", "cannot start a running process");
      case PAUSED -> throw refuse(Kind.UNKNOWN, "start", "cannot start a paused process");
      case STOPPED -> throw refuse(Kind.UNKNOWN, "start", "cannot start a stopped process");
      case DELETED -> throw notFound("start");
    };
  }

  /** Everything in the container stands still. */
  public Lifecycle pause() throws BrigException {
    return switch (state) {
      case RUNNING -> with(State.PAUSED);
      case CREATED -> throw refuse(Kind.UNKNOWN, "pause", "cannot pause a created container");
      case PAUSED -> throw refuse(Kind.UNKNOWN, "pause", "cannot pause a paused container");
      case STOPPED -> throw refuse(Kind.UNKNOWN, "pause", "cannot pause a stopped container");
      case DELETED -> throw notFound("pause");
    };
  }

  /** It moves again. */
  public Lifecycle resume() throws BrigException {
    return switch (state) {
      case PAUSED -> with(State.RUNNING);
      case CREATED -> throw refuse(Kind.UNKNOWN, "resume", "cannot resume a created container");
      case RUNNING -> throw refuse(Kind.UNKNOWN, "resume", "cannot resume a running container");
      case STOPPED -> throw refuse(Kind.UNKNOWN, "resume", "cannot resume a stopped container");
      case DELETED -> throw notFound("resume");
    };
  }

  /** Init has ended. A second exit changes nothing. */
  public Lifecycle exited(Exit how) {
    return switch (state) {
      case CREATED, RUNNING, PAUSED ->
          new Lifecycle(id, State.STOPPED, pid, Optional.of(how), execs);
      case STOPPED, DELETED -> this;
    };
  }

  /**
   * The container is forgotten. In CREATED the caller has init killed first and gives its exit by
   * {@link #exited}; both orders end in DELETED.
   */
  public Lifecycle delete() throws BrigException {
    return switch (state) {
      case CREATED, STOPPED -> with(State.DELETED);
      case RUNNING -> throw refuse(Kind.UNKNOWN, "delete", "cannot delete a running process");
      case PAUSED -> throw refuse(Kind.UNKNOWN, "delete", "cannot delete a paused process");
      case DELETED -> throw notFound("delete");
    };
  }

  /** Registers a further process. */
  public Lifecycle addExec(String execId) throws BrigException {
    if (execId.isEmpty()) {
      throw refuse(Kind.INVALID_ARGUMENT, "exec", "the exec id is empty");
    }
    if (execs.containsKey(execId)) {
      throw refuse(Kind.ALREADY_EXISTS, "exec", "id " + execId + " is in use already");
    }
    return switch (state) {
      case CREATED, RUNNING ->
          withExec(execId, new ExecProcess(ExecProcess.State.ADDED, 0, Optional.empty()));
      case PAUSED -> throw refuse(Kind.UNKNOWN, "exec", "cannot exec in a paused state");
      case STOPPED -> throw refuse(Kind.UNKNOWN, "exec", "cannot exec in a stopped state");
      case DELETED -> throw refuse(Kind.UNKNOWN, "exec", "cannot exec in a deleted state");
    };
  }

  /** Whether a registered process may be started now; asked before the work. */
  public void checkStartExec(String execId) throws BrigException {
    ExecProcess exec = exec("start", execId);
    switch (exec.state()) {
      case ADDED -> {}
      case RUNNING -> throw refuse(Kind.UNKNOWN, "start", "cannot start a running process");
      case STOPPED -> throw refuse(Kind.UNKNOWN, "start", "cannot start a stopped process");
    }
    switch (state) {
      case CREATED, RUNNING -> {}
      case PAUSED -> throw refuse(Kind.UNKNOWN, "start", "cannot exec in a paused state");
      case STOPPED, DELETED ->
          throw refuse(
              Kind.FAILED_PRECONDITION, "start", "cannot exec in a stopped state: init has ended");
    }
  }

  /** The process runs. */
  public Lifecycle startExec(String execId, int execPid) throws BrigException {
    checkStartExec(execId);
    return withExec(execId, new ExecProcess(ExecProcess.State.RUNNING, execPid, Optional.empty()));
  }

  /** It has ended, or its start failed. Unknown ids and second exits change nothing. */
  public Lifecycle execExited(String execId, Exit how) {
    ExecProcess exec = execs.get(execId);
    if (exec == null) {
      return this;
    }
    return switch (exec.state()) {
      case ADDED, RUNNING ->
          withExec(
              execId, new ExecProcess(ExecProcess.State.STOPPED, exec.pid(), Optional.of(how)));
      case STOPPED -> this;
    };
  }

  /** The process is forgotten; one that was never started counts as ended with 0. */
  public Lifecycle deleteExec(String execId) throws BrigException {
    ExecProcess exec = exec("delete", execId);
    if (exec.state() == ExecProcess.State.RUNNING) {
      throw refuse(Kind.UNKNOWN, "delete", "cannot delete a running process");
    }
    Map<String, ExecProcess> rest = new LinkedHashMap<>(execs);
    rest.remove(execId);
    return new Lifecycle(id, state, pid, exit, rest);
  }

  /** Whether a signal may be sent. */
  public void checkKill(String execId) throws BrigException {
    if (execId.isEmpty()) {
      switch (state) {
        case CREATED, RUNNING, PAUSED -> {}
        case STOPPED -> throw refuse(Kind.NOT_FOUND, "kill", "process already finished");
        case DELETED -> throw notFound("kill");
      }
      return;
    }
    switch (exec("kill", execId).state()) {
      case ADDED -> throw refuse(Kind.FAILED_PRECONDITION, "kill", "process not created");
      case RUNNING -> {}
      case STOPPED -> throw refuse(Kind.NOT_FOUND, "kill", "process already finished");
    }
  }

  /** Whether limits may be changed. */
  public void checkUpdate() throws BrigException {
    switch (state) {
      case CREATED, RUNNING, PAUSED -> {}
      case STOPPED -> throw refuse(Kind.UNKNOWN, "update", "cannot update a stopped container");
      case DELETED -> throw notFound("update");
    }
  }

  /** Whether there is something to measure. */
  public void checkStats() throws BrigException {
    switch (state) {
      case CREATED, RUNNING, PAUSED -> {}
      case STOPPED, DELETED -> throw notFound("stats");
    }
  }

  /** Whether a terminal's size may be set. */
  public void checkResize(String execId) throws BrigException {
    if (execId.isEmpty()) {
      switch (state) {
        case CREATED, RUNNING, PAUSED -> {}
        case STOPPED -> throw refuse(Kind.UNKNOWN, "resize", "cannot resize a stopped container");
        case DELETED -> throw notFound("resize");
      }
      return;
    }
    if (exec("resize", execId).state() == ExecProcess.State.STOPPED) {
      throw refuse(Kind.UNKNOWN, "resize", "cannot resize a stopped process");
    }
  }

  /** The exec, or NOT_FOUND; {@code step} for the message. */
  public ExecProcess exec(String step, String execId) throws BrigException {
    ExecProcess exec = state == State.DELETED ? null : execs.get(execId);
    if (exec == null) {
      throw new BrigException(
          Kind.NOT_FOUND, step, id, "process does not exist " + execId + ": not found", "");
    }
    return exec;
  }

  private Lifecycle with(State next) {
    return new Lifecycle(id, next, pid, exit, execs);
  }

  private Lifecycle withExec(String execId, ExecProcess exec) {
    Map<String, ExecProcess> all = new LinkedHashMap<>(execs);
    all.put(execId, exec);
    return new Lifecycle(id, state, pid, exit, all);
  }

  private BrigException notFound(String step) {
    return refuse(Kind.NOT_FOUND, step, "container not found");
  }

  private BrigException refuse(Kind kind, String step, String reason) {
    return new BrigException(kind, step, id, reason, "");
  }
}
