package brig.sandbox.plan;

import brig.proto.keeper.HostFacts;
import brig.proto.plan.Capabilities;
import brig.proto.plan.IoPriority;
import brig.proto.plan.MemoryPolicy;
import brig.proto.plan.Process;
import brig.proto.plan.Rlimit;
import brig.proto.plan.Scheduler;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.spec.CpuAffinity;
import brig.sandbox.spec.IoPrioritySpec;
import brig.sandbox.spec.MemoryPolicyFlag;
import brig.sandbox.spec.MemoryPolicySpec;
import brig.sandbox.spec.NumberList;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.RlimitSpec;
import brig.sandbox.spec.SchedulerFlag;
import brig.sandbox.spec.SchedulerSpec;
import com.google.protobuf.ByteString;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;

/** A process's own part of a plan; the same for init and for an exec. */
final class ProcessPlan {
  /** What a program gets that brings none: as runc. */
  private static final int UMASK = 022;

  private static final Set<String> NO_PROFILE = Set.of("", "unconfined");

  private ProcessPlan() {}

  /**
   * @param newPrivileges what the class says of them
   */
  static Process.Builder plan(
      HostFacts host,
      ProcessSpec spec,
      boolean terminal,
      NewPrivileges newPrivileges,
      List<String> notes)
      throws BrigException {
    boolean noNewPrivileges = spec.noNewPrivileges() || newPrivileges == NewPrivileges.NEVER;
    Process.Builder process =
        Process.newBuilder()
            .addAllArgs(spec.args())
            .addAllEnv(spec.env())
            .setCwd(spec.cwd())
            .setUid((int) spec.user().uid())
            .setGid((int) spec.user().gid())
            .addAllAdditionalGids(
                spec.user().additionalGids().stream().map(Long::intValue).toList())
            .setUmask(spec.user().umask().orElse(UMASK))
            .setCapabilities(
                CapabilityPlan.plan(spec.capabilities(), host.getLastCapability(), notes))
            .setNoNewPrivileges(noNewPrivileges)
            .setApparmorProfile(apparmor(host, spec.apparmorProfile()))
            .setSelinuxLabel(selinux(host, "process.selinuxLabel", spec.selinuxLabel()))
            .setTerminal(terminal)
            .setNewSessionKeyring(true)
            .setHomeFromPasswd(spec.env().stream().noneMatch(entry -> entry.startsWith("HOME=")));
    if (noNewPrivileges && !spec.noNewPrivileges()) {
      notes.add("no_new_privs: not asked for, but set: no program gains privileges by execve");
    }
    for (RlimitSpec rlimit : spec.rlimits()) {
      process.addRlimits(
          Rlimit.newBuilder()
              .setResource(rlimit.type().number())
              .setSoft(rlimit.soft())
              .setHard(rlimit.hard()));
    }
    spec.oomScoreAdj().ifPresent(process::setOomScoreAdj);
    spec.consoleSize()
        .ifPresent(size -> process.setConsoleHeight(size.height()).setConsoleWidth(size.width()));
    spec.scheduler().ifPresent(scheduler -> process.setScheduler(scheduler(scheduler)));
    spec.ioPriority().ifPresent(priority -> process.setIoPriority(ioPriority(priority)));
    if (spec.execCpuAffinity().isPresent()) {
      CpuAffinity affinity = spec.execCpuAffinity().get();
      process
          .setCpuAffinityInitial(ByteString.copyFrom(NumberList.mask(affinity.initial())))
          .setCpuAffinityFinal(ByteString.copyFrom(NumberList.mask(affinity.finalCpus())));
    }
    return process;
  }

  /** The ids of the process must exist in the container's user namespace. */
  static void checkIds(IdMaps maps, ProcessSpec spec) throws BrigException {
    mapped("process.user.uid", "user", spec.user().uid(), maps.hostUid(spec.user().uid()));
    mapped("process.user.gid", "group", spec.user().gid(), maps.hostGid(spec.user().gid()));
    for (long gid : spec.user().additionalGids()) {
      mapped("process.user.additionalGids", "group", gid, maps.hostGid(gid));
    }
  }

  private static void mapped(String field, String what, long id, OptionalLong host)
      throws BrigException {
    PlanContext.host(field, what, id, host);
  }

  static MemoryPolicy memoryPolicy(MemoryPolicySpec spec) {
    int mode = spec.mode().number();
    for (MemoryPolicyFlag flag : spec.flags()) {
      mode |= flag.number();
    }
    return MemoryPolicy.newBuilder()
        .setMode(mode)
        .setNodes(ByteString.copyFrom(NumberList.mask(spec.nodes())))
        .build();
  }

  private static String apparmor(HostFacts host, String profile) throws BrigException {
    if (NO_PROFILE.contains(profile)) {
      return "";
    }
    if (!host.getApparmor()) {
      throw Refusal.host(
          "process.apparmorProfile",
          "\"" + profile + "\" can't be enforced: AppArmor is not enabled on this host",
          "enable AppArmor or leave the profile out");
    }
    return profile;
  }

  static String selinux(HostFacts host, String field, String label) throws BrigException {
    if (!label.isEmpty() && !host.getSelinux()) {
      throw Refusal.host(
          field,
          "\"" + label + "\" can't be enforced: SELinux is not enabled on this host",
          "enable SELinux or leave the label out");
    }
    return label;
  }

  private static Scheduler scheduler(SchedulerSpec spec) {
    long flags = 0;
    for (SchedulerFlag flag : spec.flags()) {
      flags |= flag.number();
    }
    return Scheduler.newBuilder()
        .setPolicy(spec.policy().number())
        .setNice(spec.nice())
        .setPriority(spec.priority())
        .setFlags(flags)
        .setRuntime(spec.runtime())
        .setDeadline(spec.deadline())
        .setPeriod(spec.period())
        .build();
  }

  private static IoPriority ioPriority(IoPrioritySpec spec) {
    return IoPriority.newBuilder()
        .setClass_(spec.ioClass().number())
        .setPriority(spec.priority())
        .build();
  }

  /** The names of the capabilities that a program in the container could ever have. */
  static List<String> reachable(Capabilities capabilities) {
    return CapabilityPlan.names(capabilities.getBounding());
  }
}
