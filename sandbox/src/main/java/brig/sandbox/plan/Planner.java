package brig.sandbox.plan;

import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.HostFacts;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.LaunchPlan;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.Resources;
import java.util.List;
import java.util.Optional;

/**
 * Makes launch plans. Holds no state and does no I/O: the same input gives the same plan.
 *
 * <p>A create goes: {@link #sources}, OpenStage, {@link #moreSources}; where that answers, Abort
 * and OpenStage anew with its sources (they replace the first ones); {@link #plan}, Execute.
 */
public final class Planner {
  private final HostFacts host;
  private final SandboxConfig config;

  public Planner(HostFacts host, SandboxConfig config) {
    this.host = host;
    this.config = config;
  }

  /** What native must open for this container. */
  public SourcePlan sources(CreateInput in) throws BrigException {
    throw new UnsupportedOperationException(host.getMachine() + config);
  }

  /**
   * Whether the reports show that other sources are needed, as for a root that is already a mounted
   * overlay, whose layers are opened instead. The answer replaces {@code sources} wholly; its
   * reports go to {@link #plan}, without a third round.
   */
  public Optional<SourcePlan> moreSources(
      CreateInput in, SourcePlan sources, List<SourceReport> reports) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** The plan of the container. */
  public PlannedContainer plan(CreateInput in, SourcePlan sources, List<SourceReport> reports)
      throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** What native must open for any exec in the container; mostly nothing. */
  public List<Source> execSources(LaunchPlan createPlan) {
    throw new UnsupportedOperationException();
  }

  /**
   * The plan of a further process, with all of the container's restrictions.
   *
   * @param createPlan the container's own plan
   * @param terminal the Exec request's word, which wins over the process's
   */
  public PlannedExec planExec(LaunchPlan createPlan, ProcessSpec process, boolean terminal)
      throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** Files whose present content {@link #update} needs to choose the order of writes. */
  public List<String> updateReads(List<CgroupDir> cgroups, Resources resources) {
    throw new UnsupportedOperationException();
  }

  /**
   * The writes that change limits, in order.
   *
   * @param current contents of {@link #updateReads}, in its order
   */
  public List<CgroupOp.Write> update(
      List<CgroupDir> cgroups, Resources resources, List<FileContent> current)
      throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** Freezes the container and waits until it is. */
  public CgroupOp pause(String containerId, List<CgroupDir> cgroups) throws BrigException {
    throw new UnsupportedOperationException();
  }

  /** Thaws the container and waits until it is. */
  public CgroupOp resume(String containerId, List<CgroupDir> cgroups) throws BrigException {
    throw new UnsupportedOperationException();
  }
}
