package brig.sandbox.spec;

import java.util.List;
import java.util.OptionalInt;

/** {@code process.user}: ids inside the container. */
public record UserSpec(long uid, long gid, OptionalInt umask, List<Long> additionalGids) {
  public UserSpec {
    additionalGids = List.copyOf(additionalGids);
  }

  public static final UserSpec ROOT = new UserSpec(0, 0, OptionalInt.empty(), List.of());
}
