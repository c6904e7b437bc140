package brig.shim.relay;

import brig.proto.keeper.Abort;
import brig.proto.keeper.AfterExec;
import brig.proto.keeper.CgroupContent;
import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.CloseStdin;
import brig.proto.keeper.Done;
import brig.proto.keeper.Execute;
import brig.proto.keeper.Executed;
import brig.proto.keeper.Failure;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.ListProcesses;
import brig.proto.keeper.OpenStage;
import brig.proto.keeper.ReadFile;
import brig.proto.keeper.Release;
import brig.proto.keeper.Remember;
import brig.proto.keeper.RemoveContainer;
import brig.proto.keeper.RemoveProcess;
import brig.proto.keeper.ResizePty;
import brig.proto.keeper.RunHooks;
import brig.proto.keeper.Signal;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.keeper.StageOpened;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.proto.keeper.StepResult.ResultCase;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.Optional;

/** The steps of one request, numbered from 1. */
final class NumberedSteps implements Steps {
  /** Sends a step and waits for its result. */
  interface Link {
    StepResult carryOut(Step step);
  }

  private final long seq;
  private final Link link;
  private int last;

  NumberedSteps(long seq, Link link) {
    this.seq = seq;
    this.link = link;
  }

  @Override
  public FileContent readFile(String path, int maxBytes) throws StepFailure {
    ReadFile action = ReadFile.newBuilder().setPath(path).setMaxBytes(maxBytes).build();
    return result(step().setReadFile(action), ResultCase.FILE).getFile();
  }

  @Override
  public void skip() {
    last++;
  }

  @Override
  public List<SourceReport> openStage(String containerId, String execId, List<Source> sources)
      throws StepFailure {
    OpenStage asked =
        OpenStage.newBuilder()
            .setContainerId(containerId)
            .setExecId(execId)
            .addAllSources(sources)
            .build();
    return openStage(asked).getSourcesList();
  }

  @Override
  public StageOpened openStage(OpenStage asked) throws StepFailure {
    return result(step().setOpenStage(asked), ResultCase.STAGE_OPENED).getStageOpened();
  }

  @Override
  public Executed execute(Execute execute) throws StepFailure {
    return result(step().setExecute(execute), ResultCase.EXECUTED).getExecuted();
  }

  @Override
  public Optional<AfterExec> release(String containerId, String execId) throws StepFailure {
    Release action = Release.newBuilder().setContainerId(containerId).setExecId(execId).build();
    Done done = result(step().setRelease(action), ResultCase.DONE).getDone();
    return done.hasAfterExec() ? Optional.of(done.getAfterExec()) : Optional.empty();
  }

  @Override
  public void abort(String containerId, String execId) throws StepFailure {
    done(step().setAbort(Abort.newBuilder().setContainerId(containerId).setExecId(execId).build()));
  }

  @Override
  public void signal(String containerId, String execId, int signal, boolean all)
      throws StepFailure {
    Signal action =
        Signal.newBuilder()
            .setContainerId(containerId)
            .setExecId(execId)
            .setSignal(signal)
            .setAll(all)
            .build();
    done(step().setSignal(action));
  }

  @Override
  public CgroupContent cgroup(CgroupOp op) throws StepFailure {
    return result(step().setCgroup(op), ResultCase.CGROUP).getCgroup();
  }

  @Override
  public void resize(String containerId, String execId, int width, int height) throws StepFailure {
    ResizePty action =
        ResizePty.newBuilder()
            .setContainerId(containerId)
            .setExecId(execId)
            .setWidth(width)
            .setHeight(height)
            .build();
    done(step().setResize(action));
  }

  @Override
  public void closeStdin(String containerId, String execId) throws StepFailure {
    done(
        step()
            .setCloseStdin(
                CloseStdin.newBuilder().setContainerId(containerId).setExecId(execId).build()));
  }

  @Override
  public void removeProcess(String containerId, String execId) throws StepFailure {
    done(
        step()
            .setRemoveProcess(
                RemoveProcess.newBuilder().setContainerId(containerId).setExecId(execId).build()));
  }

  @Override
  public void removeContainer(String containerId) throws StepFailure {
    done(
        step()
            .setRemoveContainer(RemoveContainer.newBuilder().setContainerId(containerId).build()));
  }

  @Override
  public ByteString remember(ByteString value) throws StepFailure {
    last++;
    return rememberAs(last, value);
  }

  @Override
  public ByteString rememberAs(int number, ByteString value) throws StepFailure {
    Remember action = Remember.newBuilder().setValue(value).build();
    return result(number, step().setRemember(action), ResultCase.REMEMBERED)
        .getRemembered()
        .getValue();
  }

  @Override
  public List<Integer> listProcesses(String containerId) throws StepFailure {
    ListProcesses action = ListProcesses.newBuilder().setContainerId(containerId).build();
    return result(step().setListProcesses(action), ResultCase.PROCESSES)
        .getProcesses()
        .getPidsList();
  }

  @Override
  public void runHooks(String containerId, List<ByteString> hooks, ByteString stateJson)
      throws StepFailure {
    RunHooks action =
        RunHooks.newBuilder()
            .setContainerId(containerId)
            .addAllHooks(hooks)
            .setStateJson(stateJson)
            .build();
    done(step().setRunHooks(action));
  }

  private Step.Builder step() {
    return Step.newBuilder();
  }

  private void done(Step.Builder step) throws StepFailure {
    result(step, ResultCase.DONE);
  }

  private StepResult result(Step.Builder step, ResultCase wanted) throws StepFailure {
    last++;
    return result(last, step, wanted);
  }

  private StepResult result(int number, Step.Builder step, ResultCase wanted) throws StepFailure {
    Step numbered = step.setSeq(seq).setStep(number).build();
    if (numbered.getSerializedSize() > FrameDecoder.MAX_FRAME - 64) {
      throw new StepFailure(
          failure(
              numbered,
              "more than a frame can carry",
              "make the container's configuration smaller"));
    }
    StepResult result = link.carryOut(numbered);
    if (result.getResultCase() == ResultCase.FAILURE) {
      throw new StepFailure(result.getFailure());
    }
    if (result.getResultCase() != wanted) {
      // A program of another version served this request first and went another way.
      throw new StepFailure(
          failure(
              numbered,
              "the stored result is " + result.getResultCase() + ", not " + wanted,
              "try again"));
    }
    return result;
  }

  private static Failure failure(Step step, String cause, String remedy) {
    return Failure.newBuilder()
        .setStep("send step")
        .setObject(step.getActionCase() + " (request " + step.getSeq() + "." + step.getStep() + ")")
        .setCause(cause)
        .setRemedy(remedy)
        .build();
  }
}
