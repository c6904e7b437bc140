package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Proc;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** What stands between a workload and the host, as the kernel sees it. */
@OneContainerd
@OnlyBrig
class WallTest extends ClientTest {

  /** Bits of the default capabilities, from the kernel's {@code capability.h}. */
  private static final long DEFAULT_CAPABILITIES =
      1L << 0 // CHOWN
          | 1L << 1 // DAC_OVERRIDE
          | 1L << 3 // FOWNER
          | 1L << 4 // FSETID
          | 1L << 5 // KILL
          | 1L << 6 // SETGID
          | 1L << 7 // SETUID
          | 1L << 8 // SETPCAP
          | 1L << 10 // NET_BIND_SERVICE
          | 1L << 13 // NET_RAW
          | 1L << 18 // SYS_CHROOT
          | 1L << 27 // MKNOD
          | 1L << 29 // AUDIT_WRITE
          | 1L << 31; // SETFCAP

  private static final Set<String> WALLED = Set.of("EPERM", "ENOSYS");

  WallTest(Containerd containerd) {
    super(containerd);
  }

  /** What the probe printed: attempt to result. */
  private static Map<String, String> attempts(String output) {
    return output
        .lines()
        .map(line -> line.split("\t"))
        .collect(
            Collectors.toMap(
                fields -> fields[0], fields -> fields[1], (one, other) -> other, TreeMap::new));
  }

  @Test
  void theFiveCapabilitySetsAreTheSpecs() {
    Proc init = sleeping().start().proc();
    assertThat(init.capabilities("CapBnd")).isEqualTo(DEFAULT_CAPABILITIES);
    assertThat(init.capabilities("CapPrm")).isEqualTo(DEFAULT_CAPABILITIES);
    assertThat(init.capabilities("CapEff")).isEqualTo(DEFAULT_CAPABILITIES);
    assertThat(init.capabilities("CapInh")).isZero();
    assertThat(init.capabilities("CapAmb")).isZero();
  }

  @Test
  void anUnprivilegedUserHasNoCapabilityToUse() {
    Proc init = container(OciSpec.running("sleep", "600").user(1000, 1000)).start().proc();
    assertThat(init.capabilities("CapPrm")).isZero();
    assertThat(init.capabilities("CapEff")).isZero();
    assertThat(init.capabilities("CapBnd")).isEqualTo(DEFAULT_CAPABILITIES);
  }

  @Test
  void noCapabilitiesIsNone() {
    Proc init = container(OciSpec.running("sleep", "600").capabilities(List.of())).start().proc();
    for (String set : List.of("CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb")) {
      assertThat(init.capabilities(set)).as(set).isZero();
    }
  }

  @Test
  void ambientAndInheritableCapabilitiesAreAsAsked() {
    OciSpec spec = OciSpec.running("sleep", "600").user(1000, 1000);
    for (String set : List.of("inheritable", "ambient")) {
      spec.process().withObject("/capabilities").putArray(set).add("CAP_NET_BIND_SERVICE");
    }
    Proc init = container(spec).start().proc();
    for (String set : List.of("CapInh", "CapAmb", "CapPrm", "CapEff")) {
      assertThat(init.capabilities(set)).as(set).isEqualTo(1L << 10);
    }
  }

  @Test
  void aFilterIsLoadedAndNoPrivilegeIsGained() {
    TestContainer container = sleeping();
    Proc init = container.start().proc();
    assertThat(init.status("Seccomp")).isEqualTo("2");
    assertThat(init.status("NoNewPrivs")).isEqualTo("1");
    TestProcess exec =
        container
            .exec("walled", container.spec().execProcess("sleep", "600"), Stdio.none())
            .start();
    assertThat(exec.proc().status("Seccomp")).isEqualTo("2");
    assertThat(exec.proc().status("NoNewPrivs")).isEqualTo("1");
    assertThat(exec.proc().status("Seccomp_filters")).isEqualTo(init.status("Seccomp_filters"));
  }

  @Test
  void systemCallsThatNoContainerNeedsAreStopped() {
    // As the container's root, and with no_new_privs not even asked for.
    Map<String, String> results =
        attempts(run(OciSpec.running("brig-probe", "calls").noNewPrivileges(false)).stdout());
    assertThat(results).hasSizeGreaterThan(25);
    results.forEach((call, result) -> assertThat(WALLED).as(call).contains(result));
  }

  @Test
  void theSameHoldsForExecutedProcesses() {
    TestContainer container = sleeping();
    container.start();
    Map<String, String> results = attempts(exec(container, "brig-probe", "calls").stdout());
    assertThat(results).hasSizeGreaterThan(25);
    results.forEach((call, result) -> assertThat(WALLED).as(call).contains(result));
  }

  @Test
  void allNamespacesAreItsOwn() {
    Proc init = sleeping().start().proc();
    for (String kind : List.of("pid", "mnt", "net", "ipc", "uts", "user")) {
      assertThat(init.sharesWithHost(kind)).as(kind).isFalse();
    }
  }

  @Test
  void settingsOfTheHostDoNotOpenForWriting() {
    Map<String, String> results =
        attempts(
            run(
                    "brig-probe",
                    "open-write",
                    "/proc/sys/kernel/core_pattern",
                    "/proc/sys/kernel/modprobe",
                    "/proc/sys/kernel/hotplug",
                    "/proc/sys/fs/binfmt_misc/register",
                    "/proc/sysrq-trigger",
                    "/proc/irq/default_smp_affinity",
                    "/proc/bus/pci/devices",
                    "/sys/kernel/uevent_helper",
                    "/sys/power/state",
                    "/sys/kernel/mm/transparent_hugepage/enabled",
                    "/proc/sys/vm/overcommit_memory",
                    "/proc/sys/kernel/hostname")
                .stdout());
    assertThat(results).hasSize(12);
    results.forEach(
        (path, result) -> assertThat(result).as(path).isIn("EROFS", "EACCES", "EPERM", "ENOENT"));
  }

  @Test
  void whatTheKernelTellsOfTheHostReadsEmpty() {
    Map<String, String> results =
        attempts(
            run(
                    "brig-probe",
                    "read-empty",
                    "/proc/kcore",
                    "/proc/keys",
                    "/proc/timer_list",
                    "/proc/latency_stats",
                    "/proc/sched_debug",
                    "/proc/scsi",
                    "/proc/acpi",
                    "/sys/firmware")
                .stdout());
    results.forEach((path, result) -> assertThat(result).as(path).isIn("ok", "ENOENT"));
    assertThat(results)
        .containsEntry("/proc/timer_list", "ok")
        .containsEntry("/sys/firmware", "ok");
  }

  @Test
  void devicesAreDeadWhateverNodeIsMade() {
    OciSpec spec =
        OciSpec.running(
            "brig-probe",
            "mknod",
            "254:0:b",
            "8:0:b",
            "7:0:b",
            "1:1:c",
            "1:4:c",
            "1:11:c",
            "10:232:c",
            "10:229:c",
            "4:0:c",
            "10:200:c");
    spec.process().put("cwd", "/dev");
    Map<String, String> results = attempts(run(spec).stdout());
    assertThat(results).hasSize(10);
    results.forEach(
        (node, result) -> assertThat(result).as(node).isIn("EPERM", "EACCES", "not made"));
  }

  @Test
  void theUsualDevicesWork() {
    Ran ran =
        run(
            "sh",
            "-c",
            "echo x > /dev/null && head -c 4 /dev/zero | md5sum && head -c 8 /dev/urandom | wc -c && "
                + "(echo y > /dev/full) 2>&1; ls /dev; ls -l /dev/null | cut -c1-10");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout())
        .contains("No space left", "crw-rw-rw-")
        .contains(
            "fd\n",
            "full\n",
            "null\n",
            "ptmx\n",
            "pts\n",
            "random\n",
            "shm\n",
            "stderr\n",
            "stdin\n",
            "stdout\n",
            "tty\n",
            "urandom\n",
            "zero\n")
        .doesNotContain("vda", "kmsg", "mem\n", "kvm", "fuse");
  }

  @Test
  void onlyThreeDescriptorsAreOpen() {
    assertThat(run("brig-probe", "fds").stdout().lines().map(line -> line.split("\t")[0]))
        .containsExactly("0", "1", "2");
    TestContainer container = sleeping();
    container.start();
    assertThat(
            exec(container, "brig-probe", "fds").stdout().lines().map(line -> line.split("\t")[0]))
        .containsExactly("0", "1", "2");
  }

  @Test
  void noPathOfTheHostShowsInTheMountTable() {
    Proc init = sleeping().start().proc();
    List<Mounts.Entry> mounts = init.mounts();
    assertThat(mounts)
        .noneMatch(mount -> mount.source().contains(containerd.directory().toString()))
        .noneMatch(mount -> mount.root().contains(containerd.directory().toString()))
        .noneMatch(Mounts.Entry::sharesPeers);
    assertThat(mounts.stream().flatMap(mount -> mount.superOptions().stream()))
        .noneMatch(option -> option.contains(containerd.directory().toString()));
  }

  @Test
  void nothingOfTheHostLiesBehindItsRoot() throws IOException {
    List<String> seen = run("brig-probe", "escape").stdout().lines().toList();
    assertThat(seen).anyMatch(line -> line.startsWith("chroot\t")).contains("top\tok\tdata");
    for (String name : ofTheHostAlone()) {
      assertThat(seen).doesNotContain("top\tok\t" + name);
    }
  }

  /** Names in the host's root that the image doesn't have in its own. */
  private List<String> ofTheHostAlone() throws IOException {
    Set<String> image = Set.copyOf(run("ls", "-A", "/").stdout().lines().toList());
    try (Stream<Path> top = Files.list(Path.of("/"))) {
      List<String> names = top.map(path -> path.getFileName().toString()).toList();
      return names.stream().filter(name -> !image.contains(name)).toList();
    }
  }

  @Test
  void theHostsRootIsNotReachedThroughProc() throws IOException {
    Ran ran =
        run("sh", "-c", "ls /proc/1/root/; ls /proc/self/root/..; ls -d /proc/[0-9]* | wc -l");
    List<String> seen = ran.stdout().lines().toList();
    assertThat(seen).contains("data").doesNotContainAnyElementsOf(ofTheHostAlone());
    assertThat(seen.getLast()).isIn("2", "3", "4");
  }

  @Test
  void masksStayOnWithEveryCapabilityOfTheNamespace() {
    OciSpec spec =
        OciSpec.running("brig-probe", "mounts")
            .capabilities(
                List.of(
                    "CAP_SYS_ADMIN",
                    "CAP_SYS_CHROOT",
                    "CAP_SETUID",
                    "CAP_SETGID",
                    "CAP_DAC_OVERRIDE",
                    "CAP_MKNOD"));
    // Without our filter, so that the kernel's locks alone have to hold.
    spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    Map<String, String> results = attempts(run(spec).stdout());
    assertThat(results)
        .containsKeys("umount /proc/kcore", "remount-rw /proc/sys", "fresh proc", "umount /proc");
    results.entrySet().stream()
        .filter(entry -> !entry.getKey().equals("fresh cgroup"))
        .forEach(entry ->
            assertThat(entry.getValue())
                .as(entry.getKey())
                .isIn("EINVAL", "EPERM", "EACCES", "ENOENT", "EBUSY"));
  }

  @Test
  void aSpecsOwnFilterIsTheOneThatIsLoaded() {
    OciSpec spec =
        OciSpec.running("sh", "-c", "mkdir /allowed && mkdir /tmp/x; uname -m; chmod 700 /tmp");
    var seccomp = spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    seccomp.putArray("architectures").add("SCMP_ARCH_X86_64");
    var rule =
        seccomp
            .putArray("syscalls")
            .addObject()
            .put("action", "SCMP_ACT_ERRNO")
            .put("errnoRet", 95);
    rule.putArray("names").add("chmod").add("fchmodat").add("fchmod").add("fchmodat2");
    Ran ran = run(spec);
    assertThat(ran.stdout()).contains("x86_64");
    assertThat(ran.stderr()).contains("not supported");
  }

  @Test
  void aWorkloadKilledByItsFilterSaysSo() {
    OciSpec spec = OciSpec.running("sh", "-c", "uname -a; echo survived");
    var seccomp = spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    var rule = seccomp.putArray("syscalls").addObject().put("action", "SCMP_ACT_KILL_PROCESS");
    rule.putArray("names").add("uname");
    // SIGSYS.
    assertThat(run(spec).status()).isEqualTo(128 + 31);
  }

  @Test
  void eachContainerHasAKeyringOfItsOwnAndNoWayToTheHosts() {
    Ran ran = run("brig-probe", "key", "1");
    assertThat(attempts(ran.stdout()).get("keyctl(READ)")).isIn("EPERM", "ENOSYS");
    assertThat(run("cat", "/proc/keys").stdout()).isEmpty();
  }

  @Test
  void aCharacterPushedIntoTheTerminalReachesNobodyOutside() {
    TestContainer container = container(OciSpec.running("brig-probe", "tiocsti").terminal());
    Stdio stdio = Stdio.terminal();
    container.run(stdio);
    // Its own pty takes it, or the filter stops it; either way the client's terminal is another
    // one.
    assertThat(attempts(stdio.stdout()).get("TIOCSTI")).isIn("ok", "EPERM", "EIO", "ENOTTY");
    assertThat(stdio.stdout().replaceAll("TIOCSTI.*", "").replace("#", "").trim()).isEmpty();
  }

  @Test
  void abstractSocketsOfTheHostAreOutOfReachInTheHostsNetwork() throws Exception {
    // Two ends: an abstract listener of the host's, and a container in the host's network
    // namespace.
    String name = brig.testing.Names.fresh("abstract");
    try (var server = jnr.unixsocket.UnixServerSocketChannel.open()) {
      server.socket().bind(new jnr.unixsocket.UnixSocketAddress("\0" + name));
      Ran ran =
          run(OciSpec.running("brig-probe", "connect-abstract", name).withoutNamespace("network"));
      assertThat(attempts(ran.stdout()).get("connect")).isIn("EPERM", "EACCES");
    }
  }

  @Test
  void noSocketOfBrigsIsAbstract() {
    sleeping().start();
    Ran ran = run(OciSpec.running("cat", "/proc/net/unix").withoutNamespace("network"));
    // Many programs of a host have one: those with a name of ours, or in our directories, count.
    assertThat(ran.stdout())
        .contains(" " + containerd.brig().run() + "/")
        .doesNotContain("@brig")
        .doesNotContain("@" + containerd.directory())
        .doesNotContain("@" + containerd.settings().prefix());
  }

  @Test
  void portEightyAndPingAreTheRootUsers() {
    assertThat(attempts(run("brig-probe", "bind", "80").stdout())).containsEntry("bind", "ok");
    assertThat(attempts(run("brig-probe", "ping-socket").stdout()))
        .containsEntry("ping socket", "ok");
  }

  @Test
  void whatBrigWorkedWithIsNotVisible() {
    Ran ran =
        run("sh", "-c", "ls -A / /run /var /tmp 2>/dev/null; cut -d ' ' -f 5 /proc/self/mountinfo");
    assertThat(ran.stdout()).contains("data", "/proc/sys").doesNotContain("brig");
  }
}
