package brig.sandbox.spec;

import java.util.List;
import java.util.OptionalLong;

/** {@code linux.resources.network}. */
public record NetworkLimits(OptionalLong classId, List<InterfacePriority> priorities) {
  public NetworkLimits {
    priorities = List.copyOf(priorities);
  }

  public static final NetworkLimits NONE = new NetworkLimits(OptionalLong.empty(), List.of());
}
