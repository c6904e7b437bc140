package brig.profiles.seccomp;

import java.util.Optional;

/** What a filter answers; values of {@code SECCOMP_RET_*} in linux/seccomp.h. */
public enum Action {
  KILL_THREAD("SCMP_ACT_KILL_THREAD", 0x00000000),
  KILL("SCMP_ACT_KILL", 0x00000000),
  KILL_PROCESS("SCMP_ACT_KILL_PROCESS", 0x80000000),
  TRAP("SCMP_ACT_TRAP", 0x00030000),
  ERRNO("SCMP_ACT_ERRNO", 0x00050000),
  NOTIFY("SCMP_ACT_NOTIFY", 0x7fc00000),
  TRACE("SCMP_ACT_TRACE", 0x7ff00000),
  LOG("SCMP_ACT_LOG", 0x7ffc0000),
  ALLOW("SCMP_ACT_ALLOW", 0x7fff0000);

  private final String specName;
  private final int number;

  Action(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final Action[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<Action> ofSpecName(String specName) {
    for (Action value : VALUES) {
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
