package brig.profiles.seccomp;

import java.util.List;
import java.util.Optional;

/**
 * What the kernel of a machine can run, by its {@code uname -m}.
 *
 * @param uname as the kernel names it
 * @param natives its own architecture first, then those that its processes may use as well
 */
public record Machine(String uname, List<Architecture> natives) {
  public static final Machine X86_64 =
      new Machine("x86_64", List.of(Architecture.X86_64, Architecture.X86, Architecture.X32));
  public static final Machine AARCH64 =
      new Machine("aarch64", List.of(Architecture.AARCH64, Architecture.ARM));

  public Machine {
    natives = List.copyOf(natives);
  }

  /** The machine of this name; empty: there is no table for it. */
  public static Optional<Machine> of(String uname) {
    return switch (uname) {
      case "x86_64" -> Optional.of(X86_64);
      case "aarch64" -> Optional.of(AARCH64);
      default -> Optional.empty();
    };
  }

  Architecture primary() {
    return natives.getFirst();
  }

  /** AUDIT_ARCH_* of linux/audit.h, as {@code seccomp_data.arch} shows it. */
  static int auditArch(Architecture architecture) {
    return switch (architecture) {
      case X86_64, X32 -> 0xc000_003e;
      case X86 -> 0x4000_0003;
      case AARCH64 -> 0xc000_00b7;
      case ARM -> 0x4000_0028;
      case MIPS,
          MIPS64,
          MIPS64N32,
          MIPSEL,
          MIPSEL64,
          MIPSEL64N32,
          PPC,
          PPC64,
          PPC64LE,
          S390,
          S390X,
          PARISC,
          PARISC64,
          RISCV64,
          LOONGARCH64,
          M68K,
          SH,
          SHEB ->
          throw new IllegalArgumentException(architecture + " has no table");
    };
  }

  /** Whether arguments are 32 bits wide: then only the low words are compared. */
  static boolean narrow(Architecture architecture) {
    return architecture == Architecture.X86
        || architecture == Architecture.X32
        || architecture == Architecture.ARM;
  }
}
