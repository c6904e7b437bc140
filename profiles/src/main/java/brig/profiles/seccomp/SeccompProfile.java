package brig.profiles.seccomp;

import java.util.List;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A seccomp policy as the OCI runtime specification models it ({@code linux.seccomp}).
 *
 * @param defaultErrno for a default action of {@link Action#ERRNO} or {@link Action#TRACE}; empty:
 *     EPERM
 * @param architectures further architectures besides the machine's own
 * @param flags flags for installing the filter
 * @param listenerPath unix socket of an agent that answers {@link Action#NOTIFY}; empty: none
 * @param listenerMetadata handed to the agent as it is
 */
public record SeccompProfile(
    Action defaultAction,
    OptionalInt defaultErrno,
    List<Architecture> architectures,
    Set<FilterFlag> flags,
    String listenerPath,
    String listenerMetadata,
    List<SyscallRule> syscalls) {
  public SeccompProfile {
    architectures = List.copyOf(architectures);
    flags = Set.copyOf(flags);
    syscalls = List.copyOf(syscalls);
  }
}
