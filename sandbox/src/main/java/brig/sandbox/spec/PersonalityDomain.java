package brig.sandbox.spec;

import java.util.Optional;

/** Execution domains of linux/personality.h. */
public enum PersonalityDomain {
  LINUX("LINUX", 0),
  LINUX32("LINUX32", 8);

  private final String specName;
  private final int number;

  PersonalityDomain(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final PersonalityDomain[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<PersonalityDomain> ofSpecName(String specName) {
    for (PersonalityDomain value : VALUES) {
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
