package brig.sandbox.plan;

import brig.profiles.seccomp.SeccompFilters;
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
import brig.sandbox.systemd.ScopeName;
import brig.sandbox.systemd.UnitProperty;
import java.util.List;
import java.util.Optional;

/**
 * Makes launch plans. Does no I/O, and the same input gives the same plan; only compiled seccomp
 * programs are kept, in the {@link SeccompFilters} that planners may share.
 *
 * <p>A create goes: {@link #sources}, OpenStage, {@link #moreSources}; where that answers, Abort
 * and OpenStage anew with its sources (they replace the first ones); {@link #plan}, Execute.
 */
public final class Planner {
  /** Version of plan.proto: major * 1000 + minor. */
  public static final int CONTRACT_VERSION = 1000;

  private final CreatePlanner creates;
  private final ExecPlanner execs;

  public Planner(HostFacts host, SandboxConfig config) {
    this(host, config, new SeccompFilters());
  }

  public Planner(HostFacts host, SandboxConfig config, SeccompFilters filters) {
    this.creates = new CreatePlanner(host, config, filters);
    this.execs = new ExecPlanner(host);
  }

  /** What native must open for this container. */
  public SourcePlan sources(CreateInput in) throws BrigException {
    return creates.sources(in);
  }

  /**
   * Whether the reports show that other sources are needed, as for a root that is already a mounted
   * overlay, whose layers are opened instead. The answer replaces {@code sources} wholly; its
   * reports go to {@link #plan}, without a third round.
   */
  public Optional<SourcePlan> moreSources(
      CreateInput in, SourcePlan sources, List<SourceReport> reports) throws BrigException {
    return creates.moreSources(in, sources, reports);
  }

  /** The plan of the container. */
  public PlannedContainer plan(CreateInput in, SourcePlan sources, List<SourceReport> reports)
      throws BrigException {
    return creates.plan(in, sources, reports);
  }

  /** Whether the container is to stand in a scope of systemd's, which its plan then names. */
  public boolean asksForScope(CreateInput in) {
    return ScopeName.isAsked(in.spec().linux().cgroupsPath());
  }

  /** Limits of a scope as systemd names them. */
  public List<UnitProperty> scopeProperties(Resources resources) {
    return ScopeProperties.of(resources);
  }

  /** What native must open for any exec in the container; mostly nothing. */
  public List<Source> execSources(LaunchPlan createPlan) {
    return ExecPlanner.sources(createPlan);
  }

  /**
   * The plan of a further process, with all of the container's restrictions.
   *
   * @param createPlan the container's own plan
   * @param terminal the Exec request's word, which wins over the process's
   */
  public PlannedExec planExec(LaunchPlan createPlan, ProcessSpec process, boolean terminal)
      throws BrigException {
    return execs.plan(createPlan, process, terminal);
  }

  /** Files whose present content {@link #update} needs to choose the order of writes. */
  public List<String> updateReads(List<CgroupDir> cgroups, Resources resources) {
    return CgroupUpdate.reads(cgroups, resources);
  }

  /**
   * The writes that change limits, in order. Device rules are not changed: clients send along those
   * of the creation.
   *
   * @param current contents of {@link #updateReads}, in its order
   */
  public List<CgroupOp.Write> update(
      List<CgroupDir> cgroups, Resources resources, List<FileContent> current)
      throws BrigException {
    return CgroupUpdate.writes(cgroups, resources, current);
  }

  /**
   * What systemd must be told of the same change, where it keeps the container's scope.
   *
   * @param current contents of {@link #updateReads}, in its order
   */
  public List<UnitProperty> updateProperties(
      List<CgroupDir> cgroups, Resources resources, List<FileContent> current)
      throws BrigException {
    return CgroupUpdate.properties(cgroups, resources, current);
  }

  /** Freezes the container and waits until it is. */
  public CgroupOp pause(String containerId, List<CgroupDir> cgroups) throws BrigException {
    return Freezer.freeze(containerId, cgroups);
  }

  /** Thaws the container and waits until it is. */
  public CgroupOp resume(String containerId, List<CgroupDir> cgroups) throws BrigException {
    return Freezer.thaw(containerId, cgroups);
  }
}
