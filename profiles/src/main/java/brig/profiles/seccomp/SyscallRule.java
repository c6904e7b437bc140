package brig.profiles.seccomp;

import java.util.List;
import java.util.OptionalInt;

/**
 * One entry of a profile: the named system calls get the action where all argument conditions hold.
 *
 * @param errno for {@link Action#ERRNO} the error, for {@link Action#TRACE} the message to the
 *     tracer; empty: EPERM
 */
public record SyscallRule(
    List<String> names, Action action, OptionalInt errno, List<ArgumentRule> arguments) {
  public SyscallRule {
    names = List.copyOf(names);
    arguments = List.copyOf(arguments);
  }
}
