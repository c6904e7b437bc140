package brig.shim.relay;

import brig.proto.keeper.AfterExec;
import brig.proto.keeper.CgroupContent;
import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.Execute;
import brig.proto.keeper.Executed;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.OpenStage;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.keeper.StageOpened;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Optional;

/**
 * What a handler can have the keeper do while it serves one request.
 *
 * <p>Each call is one step, numbered in the order of calls, and blocks until native has answered.
 * The keeper carries each out once and keeps its result, so that a handler that runs again after
 * the daemon's death gets the first run's results. A handler must therefore make the same calls in
 * the same order whenever it gets the same results: what else it takes, it fixes by {@link
 * #remember}. To be used by one thread at a time.
 *
 * <p>An empty exec id stands for the container's init.
 */
public interface Steps {
  /** First version of the keeper's protocol in which steps that belong together are one. */
  int ONE_ROUND = 1002;

  /**
   * Leaves the next number out: another way through a handler may have a step there, and what was
   * kept of the one is never taken for the other.
   */
  void skip();

  /** A file's content, or {@code exists == false}. */
  FileContent readFile(String path, int maxBytes) throws StepFailure;

  /** Starts a stage that opens these sources and holds them; one report for each, in order. */
  List<SourceReport> openStage(String containerId, String execId, List<Source> sources)
      throws StepFailure;

  /**
   * The same with all that can be asked for at once: {@code remember} comes back as it was given
   * the first time, unless the keeper is older than {@link #ONE_ROUND}.
   */
  StageOpened openStage(OpenStage asked) throws StepFailure;

  /** Carries out the plan; for init the process then stands before its execve. */
  Executed execute(Execute execute) throws StepFailure;

  /**
   * Lets init go on to its execve; returns when that has succeeded, with what the kernel says of it
   * then. Empty where the process ended before its execve.
   */
  Optional<AfterExec> release(String containerId, String execId) throws StepFailure;

  /** Undoes a stage, or a process that has not been released. */
  void abort(String containerId, String execId) throws StepFailure;

  void signal(String containerId, String execId, int signal, boolean all) throws StepFailure;

  CgroupContent cgroup(CgroupOp op) throws StepFailure;

  void resize(String containerId, String execId, int width, int height) throws StepFailure;

  void closeStdin(String containerId, String execId) throws StepFailure;

  void removeProcess(String containerId, String execId) throws StepFailure;

  /** Kills what is left of the container, waits for it and removes its cgroups. */
  void removeContainer(String containerId) throws StepFailure;

  /** The value given here the first time that this request was served. */
  ByteString remember(ByteString value) throws StepFailure;

  /**
   * The same under a number that was skipped, for what a daemon of another version may have
   * remembered there.
   */
  ByteString rememberAs(int number, ByteString value) throws StepFailure;

  /** Process ids in the container's cgroup, as the host numbers them. */
  List<Integer> listProcesses(String containerId) throws StepFailure;

  /** Runs hooks in the runtime's namespaces. */
  void runHooks(String containerId, List<ByteString> hooks, ByteString stateJson)
      throws StepFailure;
}
