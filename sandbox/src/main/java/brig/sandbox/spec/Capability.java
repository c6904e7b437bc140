package brig.sandbox.spec;

import java.util.Optional;

/** Capabilities and their numbers in linux/capability.h. */
public enum Capability {
  CHOWN("CAP_CHOWN", 0),
  DAC_OVERRIDE("CAP_DAC_OVERRIDE", 1),
  DAC_READ_SEARCH("CAP_DAC_READ_SEARCH", 2),
  FOWNER("CAP_FOWNER", 3),
  FSETID("CAP_FSETID", 4),
  KILL("CAP_KILL", 5),
  SETGID("CAP_SETGID", 6),
  SETUID("CAP_SETUID", 7),
  SETPCAP("CAP_SETPCAP", 8),
  LINUX_IMMUTABLE("CAP_LINUX_IMMUTABLE", 9),
  NET_BIND_SERVICE("CAP_NET_BIND_SERVICE", 10),
  NET_BROADCAST("CAP_NET_BROADCAST", 11),
  NET_ADMIN("CAP_NET_ADMIN", 12),
  NET_RAW("CAP_NET_RAW", 13),
  IPC_LOCK("CAP_IPC_LOCK", 14),
  IPC_OWNER("CAP_IPC_OWNER", 15),
  SYS_MODULE("CAP_SYS_MODULE", 16),
  SYS_RAWIO("CAP_SYS_RAWIO", 17),
  SYS_CHROOT("CAP_SYS_CHROOT", 18),
  SYS_PTRACE("CAP_SYS_PTRACE", 19),
  SYS_PACCT("CAP_SYS_PACCT", 20),
  SYS_ADMIN("CAP_SYS_ADMIN", 21),
  SYS_BOOT("CAP_SYS_BOOT", 22),
  SYS_NICE("CAP_SYS_NICE", 23),
  SYS_RESOURCE("CAP_SYS_RESOURCE", 24),
  SYS_TIME("CAP_SYS_TIME", 25),
  SYS_TTY_CONFIG("CAP_SYS_TTY_CONFIG", 26),
  MKNOD("CAP_MKNOD", 27),
  LEASE("CAP_LEASE", 28),
  AUDIT_WRITE("CAP_AUDIT_WRITE", 29),
  AUDIT_CONTROL("CAP_AUDIT_CONTROL", 30),
  SETFCAP("CAP_SETFCAP", 31),
  MAC_OVERRIDE("CAP_MAC_OVERRIDE", 32),
  MAC_ADMIN("CAP_MAC_ADMIN", 33),
  SYSLOG("CAP_SYSLOG", 34),
  WAKE_ALARM("CAP_WAKE_ALARM", 35),
  BLOCK_SUSPEND("CAP_BLOCK_SUSPEND", 36),
  AUDIT_READ("CAP_AUDIT_READ", 37),
  PERFMON("CAP_PERFMON", 38),
  BPF("CAP_BPF", 39),
  CHECKPOINT_RESTORE("CAP_CHECKPOINT_RESTORE", 40);

  private final String specName;
  private final int number;

  Capability(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final Capability[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<Capability> ofSpecName(String specName) {
    for (Capability value : VALUES) {
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
