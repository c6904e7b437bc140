package brig.sandbox.plan;

import brig.proto.keeper.HostFacts;
import brig.proto.keeper.Source;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.Cgroups;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.ExecPlan;
import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Namespace;
import brig.proto.plan.Process;
import brig.proto.plan.SeccompFilter;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.spec.ProcessSpec;
import java.util.ArrayList;
import java.util.List;

/**
 * Plans of further processes: all of the container's restrictions, and what the process itself says
 * within them. What it leaves out it gets from the container's own process.
 */
final class ExecPlanner {
  private final HostFacts host;

  ExecPlanner(HostFacts host) {
    this.host = host;
  }

  /** The container's seccomp agent is told of the new process too. */
  static List<Source> sources(LaunchPlan createPlan) {
    List<Source> sources = new ArrayList<>();
    for (SeccompFilter filter : createPlan.getCreate().getProcess().getSeccompList()) {
      if (filter.getListenerHandle() != 0) {
        sources.add(
            Source.newBuilder()
                .setHandle(sources.size() + 1)
                .setKind(Source.Kind.SOCKET)
                .setPath(filter.getListenerPath())
                .build());
      }
    }
    return sources;
  }

  PlannedExec plan(LaunchPlan createPlan, ProcessSpec asked, boolean terminal)
      throws BrigException {
    CreatePlan container = createPlan.getCreate();
    Process init = container.getProcess();
    IdMaps maps = new IdMaps(container.getUidMapsList(), container.getGidMapsList());
    List<String> notes = new ArrayList<>();
    ProcessPlan.checkIds(maps, asked);
    NewPrivileges newPrivileges =
        init.getNoNewPrivileges() ? NewPrivileges.NEVER : NewPrivileges.ASKED;
    Process.Builder process = ProcessPlan.plan(host, asked, terminal, newPrivileges, notes);
    notes.removeIf(note -> note.startsWith("no_new_privs"));
    process.setCapabilities(
        asked.capabilities().isEmpty()
            ? init.getCapabilities()
            : CapabilityPlan.below(init.getCapabilities(), process.getCapabilities(), notes));
    inherit(process, init);
    process.addAllSeccomp(seccomp(init));
    if (init.hasLandlock()) {
      process.setLandlock(init.getLandlock());
    }

    ExecPlan.Builder plan =
        ExecPlan.newBuilder()
            .setCgroups(entered(container.getCgroups()))
            .setProcess(process)
            .addAllStateJsonParts(container.getStateJsonPartsList());
    for (Namespace namespace : container.getNamespacesList()) {
      plan.addJoin(namespace.getKind());
    }
    return new PlannedExec(
        createPlan.toBuilder().setExec(plan).build(),
        PlanContext.host(
            "process.user.uid", "user", asked.user().uid(), maps.hostUid(asked.user().uid())),
        PlanContext.host(
            "process.user.gid", "group", asked.user().gid(), maps.hostGid(asked.user().gid())),
        notes);
  }

  private static void inherit(Process.Builder process, Process init) {
    if (process.getApparmorProfile().isEmpty()) {
      process.setApparmorProfile(init.getApparmorProfile());
    }
    if (process.getSelinuxLabel().isEmpty()) {
      process.setSelinuxLabel(init.getSelinuxLabel());
    }
    if (process.getRlimitsCount() == 0) {
      process.addAllRlimits(init.getRlimitsList());
    }
    if (!process.hasOomScoreAdj() && init.hasOomScoreAdj()) {
      process.setOomScoreAdj(init.getOomScoreAdj());
    }
    if (!process.hasScheduler() && init.hasScheduler()) {
      process.setScheduler(init.getScheduler());
    }
    if (!process.hasIoPriority() && init.hasIoPriority()) {
      process.setIoPriority(init.getIoPriority());
    }
    if (process.getCpuAffinityInitial().isEmpty() && process.getCpuAffinityFinal().isEmpty()) {
      process
          .setCpuAffinityInitial(init.getCpuAffinityInitial())
          .setCpuAffinityFinal(init.getCpuAffinityFinal());
    }
    if (init.hasPersonality()) {
      process.setPersonality(init.getPersonality());
    }
    if (init.hasMemoryPolicy()) {
      process.setMemoryPolicy(init.getMemoryPolicy());
    }
  }

  /** The same filters; handles are those of {@link #sources}. */
  private static List<SeccompFilter> seccomp(Process init) {
    List<SeccompFilter> filters = new ArrayList<>();
    int handle = 0;
    for (SeccompFilter filter : init.getSeccompList()) {
      filters.add(
          filter.getListenerHandle() == 0
              ? filter
              : filter.toBuilder().setListenerHandle(++handle).build());
    }
    return filters;
  }

  /** The container's directories, to be entered only. */
  private static Cgroups entered(Cgroups cgroups) {
    Cgroups.Builder entered = Cgroups.newBuilder();
    for (CgroupDir dir : cgroups.getDirsList()) {
      entered.addDirs(dir.toBuilder().setCreate(false).clearEnable());
    }
    return entered.build();
  }
}
