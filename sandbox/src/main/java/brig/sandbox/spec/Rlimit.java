package brig.sandbox.spec;

import java.util.Optional;

/** Resource limits and their numbers in asm-generic/resource.h (the same on x86-64 and arm64). */
public enum Rlimit {
  CPU("RLIMIT_CPU", 0),
  FSIZE("RLIMIT_FSIZE", 1),
  DATA("RLIMIT_DATA", 2),
  STACK("RLIMIT_STACK", 3),
  CORE("RLIMIT_CORE", 4),
  RSS("RLIMIT_RSS", 5),
  NPROC("RLIMIT_NPROC", 6),
  NOFILE("RLIMIT_NOFILE", 7),
  MEMLOCK("RLIMIT_MEMLOCK", 8),
  AS("RLIMIT_AS", 9),
  LOCKS("RLIMIT_LOCKS", 10),
  SIGPENDING("RLIMIT_SIGPENDING", 11),
  MSGQUEUE("RLIMIT_MSGQUEUE", 12),
  NICE("RLIMIT_NICE", 13),
  RTPRIO("RLIMIT_RTPRIO", 14),
  RTTIME("RLIMIT_RTTIME", 15);

  private final String specName;
  private final int number;

  Rlimit(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final Rlimit[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<Rlimit> ofSpecName(String specName) {
    for (Rlimit value : VALUES) {
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
