package brig.sandbox.plan;

import brig.profiles.seccomp.SeccompFilters;
import brig.proto.keeper.ContainerCare;
import brig.proto.keeper.HostFacts;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.Cgroups;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.Hook;
import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Process;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.LinuxSpec;
import brig.sandbox.spec.NamespaceType;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.Spec;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Puts the parts of a container's plan together. */
final class CreatePlanner {
  private final HostFacts host;
  private final SandboxConfig config;
  private final SeccompFilters filters;

  CreatePlanner(HostFacts host, SandboxConfig config, SeccompFilters filters) {
    this.host = host;
    this.config = config;
    this.filters = filters;
  }

  SourcePlan sources(CreateInput in) throws BrigException {
    SourceList sources = new SourceList();
    RootPlan.sources(in, sources);
    return others(in, sources, Optional.empty());
  }

  Optional<SourcePlan> moreSources(CreateInput in, SourcePlan first, List<SourceReport> reports)
      throws BrigException {
    if (first.mountedRoot().isPresent() || UserNamespace.isBrought(in)) {
      return Optional.empty();
    }
    Optional<OverlayLayers> layers = RootPlan.mountedLayers(in, new Reports(first, reports));
    if (layers.isEmpty()) {
      return Optional.empty();
    }
    SourceList sources = new SourceList();
    RootPlan.layers(layers.get(), sources, "root");
    return Optional.of(others(in, sources, layers));
  }

  private static SourcePlan others(
      CreateInput in, SourceList sources, Optional<OverlayLayers> mountedRoot)
      throws BrigException {
    MountPlan.sources(in, sources);
    NamespacePlan.sources(in, sources);
    HookPlan.sources(in, sources);
    SeccompPlan.sources(in, sources);
    return sources.plan(mountedRoot);
  }

  PlannedContainer plan(CreateInput in, SourcePlan sources, List<SourceReport> reports)
      throws BrigException {
    Spec spec = in.spec();
    ProcessSpec asked =
        spec.process().orElseThrow(() -> Refusal.invalid("process", "is missing", ""));
    Refused.check(spec);
    List<String> notes = new ArrayList<>();
    Reports opened = new Reports(sources, reports);
    UserNamespace user = UserNamespace.decide(in, config, opened, notes);
    PlanContext context = new PlanContext(host, config, in, opened, user, notes);
    ProcessPlan.checkIds(user.maps(), asked);

    CreatePlan.Builder plan = CreatePlan.newBuilder();
    Map<NamespaceType, NamespacePlan.Mode> modes = NamespacePlan.plan(context, plan);
    Cgroups cgroups = CgroupPlan.plan(context);
    plan.setCgroups(cgroups).setRoot(RootPlan.plan(context, sources));
    DevicePlan.plan(context, plan);
    plan.addAllMounts(MountPlan.plan(context));
    plan.addAllMaskedPaths(HiddenPaths.masked(spec.linux()));
    plan.addAllReadonlyPaths(HiddenPaths.readonly(spec.linux()));
    plan.setHostname(spec.hostname()).setDomainname(spec.domainname());
    SysctlPlan.plan(context, modes, plan);
    List<Hook> hooks = HookPlan.plan(context);
    plan.addAllHooks(hooks).addAllStateJsonParts(StateJson.parts(in));
    plan.setProcess(process(context, asked));

    return new PlannedContainer(
        LaunchPlan.newBuilder()
            .setContractVersion(Planner.CONTRACT_VERSION)
            .setContainerId(in.id())
            .setClassName(in.className())
            .setCreate(plan)
            .build(),
        care(in, cgroups.getDirsList(), modes, hooks),
        cgroups.getDirsList(),
        context.hostUid("process.user.uid", asked.user().uid()),
        context.hostGid("process.user.gid", asked.user().gid()),
        notes);
  }

  private Process process(PlanContext context, ProcessSpec asked) throws BrigException {
    LinuxSpec linux = context.linux();
    Process.Builder process =
        ProcessPlan.plan(
            host, asked, context.in().terminal(), context.newPrivileges(), context.notes());
    process.setSelinuxMountLabel(ProcessPlan.selinux(host, "linux.mountLabel", linux.mountLabel()));
    process.addSeccomp(SeccompPlan.plan(context, filters, process));
    linux
        .personality()
        .ifPresent(personality -> process.setPersonality(personality.domain().number()));
    linux
        .memoryPolicy()
        .ifPresent(policy -> process.setMemoryPolicy(ProcessPlan.memoryPolicy(policy)));
    return process.build();
  }

  private static ContainerCare care(
      CreateInput in,
      List<CgroupDir> dirs,
      Map<NamespaceType, NamespacePlan.Mode> modes,
      List<Hook> hooks) {
    ContainerCare.Builder care =
        ContainerCare.newBuilder()
            .setCgroupV2(CgroupTree.isV2(dirs))
            .setOomDir(CgroupTree.find(dirs, "memory").map(CgroupTree::absolute).orElse(""))
            .setKillAllOnExit(modes.get(NamespaceType.PID) != NamespacePlan.Mode.NEW);
    dirs.forEach(dir -> care.addCgroupDirs(CgroupTree.absolute(dir)));
    hooks.stream()
        .filter(hook -> hook.getPoint() == Hook.Point.POSTSTOP)
        .forEach(hook -> care.addPoststopHooks(hook.toByteString()));
    if (care.getPoststopHooksCount() > 0) {
      care.setPoststopState(ByteString.copyFromUtf8(StateJson.stopped(in)));
    }
    return care.build();
  }
}
