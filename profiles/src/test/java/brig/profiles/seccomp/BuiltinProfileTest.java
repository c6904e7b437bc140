package brig.profiles.seccomp;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;

/**
 * What must hold in a container whose spec brings no filter, call by call, in the program itself.
 */
final class BuiltinProfileTest {
  private static final int ALLOW = 0x7fff0000;
  private static final int EPERM = 0x00050001;
  private static final int ENOSYS = 0x00050000 | 38;
  private static final int EAFNOSUPPORT = 0x00050000 | 97;
  private static final int KILL_PROCESS = 0x80000000;

  /** What containerd's clients grant by default. */
  private static final Set<String> DEFAULT_CAPABILITIES =
      Set.of(
          "CAP_CHOWN",
          "CAP_DAC_OVERRIDE",
          "CAP_FSETID",
          "CAP_FOWNER",
          "CAP_MKNOD",
          "CAP_NET_RAW",
          "CAP_SETGID",
          "CAP_SETUID",
          "CAP_SETFCAP",
          "CAP_SETPCAP",
          "CAP_NET_BIND_SERVICE",
          "CAP_SYS_CHROOT",
          "CAP_KILL",
          "CAP_AUDIT_WRITE");

  private final BpfMachine program = program(DEFAULT_CAPABILITIES);

  private static BpfMachine program(Set<String> capabilities) {
    try {
      return new BpfMachine(new SeccompFilters().builtin(capabilities, Machine.X86_64).program());
    } catch (SeccompException e) {
      throw new AssertionError(e);
    }
  }

  private static int call(BpfMachine program, String name, long... args) {
    return program.run(
        Machine.auditArch(Architecture.X86_64),
        SyscallTable.get().number(Architecture.X86_64, name).orElseThrow(),
        args);
  }

  private int call(String name, long... args) {
    return call(program, name, args);
  }

  private int call32(String name, long... args) {
    return program.run(
        Machine.auditArch(Architecture.X86),
        SyscallTable.get().number(Architecture.X86, name).orElseThrow(),
        args);
  }

  @Test
  void noMountsAreMadeOrMoved() {
    for (String name :
        List.of(
            "mount",
            "umount2",
            "pivot_root",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
            "setns",
            "open_by_handle_at")) {
      assertThat(call(name)).as(name).isEqualTo(EPERM);
    }
    assertThat(call32("mount")).isEqualTo(EPERM);
    assertThat(call32("umount")).isEqualTo(EPERM);
    assertThat(call("open_tree_attr")).isEqualTo(ENOSYS);
    assertThat(call("statmount")).isEqualTo(ENOSYS);
  }

  @Test
  void theKernelsDangerousCornersAreClosed() {
    for (String name :
        List.of(
            "bpf",
            "userfaultfd",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "perf_event_open",
            "keyctl",
            "add_key",
            "request_key",
            "kexec_load",
            "kexec_file_load",
            "init_module",
            "finit_module",
            "delete_module",
            "reboot",
            "swapon",
            "swapoff",
            "acct",
            "settimeofday",
            "clock_settime",
            "iopl",
            "ioperm",
            "lookup_dcookie",
            "quotactl",
            "syslog",
            "vhangup",
            "sethostname",
            "pidfd_getfd",
            "kcmp",
            "fanotify_init",
            "nfsservctl",
            "uselib",
            "sysfs")) {
      assertThat(call(name)).as(name).isEqualTo(EPERM);
    }
  }

  @Test
  void noUserNamespaceIsMade() {
    long newUser = 0x10000000L;
    assertThat(call("clone", newUser | 17)).isEqualTo(EPERM);
    assertThat(call("clone", 0x3d0f00)).isEqualTo(ALLOW);
    assertThat(call("clone3")).isEqualTo(ENOSYS);
    assertThat(call("unshare", newUser)).isEqualTo(EPERM);
    assertThat(call("unshare", 0x80)).isEqualTo(EPERM);
    assertThat(call("unshare", 0x200)).isEqualTo(ALLOW);
    assertThat(call32("clone", newUser)).isEqualTo(EPERM);
  }

  @Test
  void nothingIsTypedIntoATerminal() {
    long tiocsti = 0x5412;
    long tioclinux = 0x541c;
    assertThat(call("ioctl", 0, tiocsti)).isEqualTo(EPERM);
    assertThat(call("ioctl", 0, tioclinux)).isEqualTo(EPERM);
    // The kernel takes the request as 32 bits.
    assertThat(call("ioctl", 0, tiocsti | 1L << 32)).isEqualTo(EPERM);
    assertThat(call("ioctl", 0, tioclinux | 1L << 63)).isEqualTo(EPERM);
    assertThat(call("ioctl", 0, 0x5413)).isEqualTo(ALLOW);
    assertThat(call32("ioctl", 0, tiocsti)).isEqualTo(EPERM);
  }

  @Test
  void onlyOrdinarySocketFamiliesAreThere() {
    for (long family : List.of(1L, 2L, 10L, 16L, 17L, 2L | 1L << 32)) {
      assertThat(call("socket", family)).as("family %x", family).isEqualTo(ALLOW);
    }
    long vsock = 40;
    long alg = 38;
    for (long family : List.of(vsock, alg, vsock | 1L << 32, 0L, 44L)) {
      assertThat(call("socket", family)).as("family %x", family).isEqualTo(EAFNOSUPPORT);
    }
    assertThat(call32("socket", vsock)).isEqualTo(EAFNOSUPPORT);
    assertThat(call32("socketcall", 1)).isEqualTo(EAFNOSUPPORT);
    assertThat(call32("socketcall", 3)).isEqualTo(ALLOW);
  }

  @Test
  void addressRandomisationStaysOn() {
    assertThat(call("personality", 0xffffffffL)).isEqualTo(ALLOW);
    assertThat(call("personality", 0x8)).isEqualTo(ALLOW);
    assertThat(call("personality", 0x0040000)).isEqualTo(EPERM);
    assertThat(call("personality", 0x0040008)).isEqualTo(EPERM);
  }

  @Test
  void whatIsNewerThanThePolicyIsNotThere() {
    assertThat(program.run(Machine.auditArch(Architecture.X86_64), 600)).isEqualTo(ENOSYS);
    assertThat(program.run(Machine.auditArch(Architecture.X86), 600)).isEqualTo(ENOSYS);
    assertThat(program.run(Machine.auditArch(Architecture.X86_64), -1)).isEqualTo(ENOSYS);
    assertThat(program.run(Machine.auditArch(Architecture.X32), 0x40000000)).isEqualTo(ENOSYS);
    assertThat(program.run(Machine.auditArch(Architecture.ARM), 1)).isEqualTo(KILL_PROCESS);
  }

  @Test
  void ordinaryProgramsRun() {
    for (String name :
        List.of(
            "read",
            "execve",
            "mmap",
            "futex",
            "openat2",
            "rseq",
            "statx",
            "landlock_create_ruleset",
            "close_range",
            "fchmodat2",
            "uretprobe",
            "mseal",
            "ptrace",
            "epoll_pwait2")) {
      assertThat(call(name)).as(name).isEqualTo(ALLOW);
    }
  }

  @Test
  void aCapabilityBringsTheCallsItIsFor() {
    BpfMachine admin = program(Set.of("CAP_SYS_ADMIN"));
    assertThat(call(admin, "mount")).isEqualTo(ALLOW);
    assertThat(call(admin, "unshare", 0x10000000L)).isEqualTo(ALLOW);
    assertThat(call(admin, "bpf")).isEqualTo(EPERM);
    assertThat(call(admin, "kcmp")).isEqualTo(EPERM);
    assertThat(call(program(Set.of("CAP_SYS_PTRACE")), "kcmp")).isEqualTo(ALLOW);
  }

  @Test
  void installingItIsCheap() {
    // The kernel walks the program for each number of each architecture: native facts, section 8.
    assertThat(program.size()).isLessThan(512);
  }

  @Test
  void armIsCompiledToo() throws SeccompException {
    BpfMachine arm =
        new BpfMachine(
            new SeccompFilters().builtin(DEFAULT_CAPABILITIES, Machine.AARCH64).program());
    int mount = SyscallTable.get().number(Architecture.AARCH64, "mount").orElseThrow();
    int cacheflush = SyscallTable.get().number(Architecture.ARM, "cacheflush").orElseThrow();
    assertThat(arm.run(Machine.auditArch(Architecture.AARCH64), mount)).isEqualTo(EPERM);
    assertThat(arm.run(Machine.auditArch(Architecture.AARCH64), 63)).isEqualTo(ALLOW);
    assertThat(arm.run(Machine.auditArch(Architecture.ARM), cacheflush)).isEqualTo(ALLOW);
    assertThat(arm.run(Machine.auditArch(Architecture.ARM), 500)).isEqualTo(ENOSYS);
  }
}
