package brig.profiles.seccomp;

import java.util.Optional;

/**
 * The flags that the OCI specification knows of {@code seccomp(SECCOMP_SET_MODE_FILTER)}; values of
 * {@code SECCOMP_FILTER_FLAG_*} in linux/seccomp.h.
 */
public enum FilterFlag {
  TSYNC("SECCOMP_FILTER_FLAG_TSYNC", 1),
  LOG("SECCOMP_FILTER_FLAG_LOG", 2),
  SPEC_ALLOW("SECCOMP_FILTER_FLAG_SPEC_ALLOW", 4),
  WAIT_KILLABLE_RECV("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 32);

  private final String specName;
  private final int number;

  FilterFlag(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final FilterFlag[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<FilterFlag> ofSpecName(String specName) {
    for (FilterFlag value : VALUES) {
      if (value.specName.equals(specName)) {
        return Optional.of(value);
      }
    }
    return Optional.empty();
  }

  public String specName() {
    return specName;
  }
}
