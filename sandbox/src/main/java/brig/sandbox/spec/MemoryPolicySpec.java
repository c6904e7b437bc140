package brig.sandbox.spec;

import java.util.Set;

/** {@code linux.memoryPolicy}; nodes as a list ("0-3,7"). */
public record MemoryPolicySpec(MemoryPolicyMode mode, String nodes, Set<MemoryPolicyFlag> flags) {
  public MemoryPolicySpec {
    flags = Set.copyOf(flags);
  }
}
