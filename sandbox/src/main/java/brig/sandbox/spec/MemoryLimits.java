package brig.sandbox.spec;

import java.util.Optional;
import java.util.OptionalLong;

/** {@code linux.resources.memory}, in bytes; -1 is unlimited. */
public record MemoryLimits(
    OptionalLong limit,
    OptionalLong reservation,
    OptionalLong swap,
    OptionalLong kernel,
    OptionalLong kernelTcp,
    OptionalLong swappiness,
    Optional<Boolean> disableOomKiller,
    Optional<Boolean> useHierarchy,
    Optional<Boolean> checkBeforeUpdate) {
  public static final MemoryLimits NONE =
      new MemoryLimits(
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          OptionalLong.empty(),
          Optional.empty(),
          Optional.empty(),
          Optional.empty());

  /** The same with another limit. */
  public MemoryLimits withLimit(OptionalLong other) {
    return new MemoryLimits(
        other,
        reservation,
        swap,
        kernel,
        kernelTcp,
        swappiness,
        disableOomKiller,
        useHierarchy,
        checkBeforeUpdate);
  }
}
