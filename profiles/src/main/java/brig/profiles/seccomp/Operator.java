package brig.profiles.seccomp;

import java.util.Optional;

/** How an argument is compared. */
public enum Operator {
  NE("SCMP_CMP_NE"),
  LT("SCMP_CMP_LT"),
  LE("SCMP_CMP_LE"),
  EQ("SCMP_CMP_EQ"),
  GE("SCMP_CMP_GE"),
  GT("SCMP_CMP_GT"),
  MASKED_EQ("SCMP_CMP_MASKED_EQ");

  private final String specName;

  Operator(String specName) {
    this.specName = specName;
  }

  private static final Operator[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<Operator> ofSpecName(String specName) {
    for (Operator value : VALUES) {
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
