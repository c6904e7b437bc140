package brig.sandbox.spec;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;

/** {@code process}, also the payload of an exec. */
public record ProcessSpec(
    boolean terminal,
    Optional<ConsoleSize> consoleSize,
    UserSpec user,
    List<String> args,
    List<String> env,
    String cwd,
    Optional<CapabilitySets> capabilities,
    List<RlimitSpec> rlimits,
    boolean noNewPrivileges,
    String apparmorProfile,
    OptionalInt oomScoreAdj,
    Optional<SchedulerSpec> scheduler,
    String selinuxLabel,
    Optional<IoPrioritySpec> ioPriority,
    Optional<CpuAffinity> execCpuAffinity) {
  public ProcessSpec {
    args = List.copyOf(args);
    env = List.copyOf(env);
    rlimits = List.copyOf(rlimits);
  }
}
