package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.proto.task.Status;
import brig.testing.spec.OciSpec;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/**
 * Attacks on container launchers that have been published, against this one. A marker directory of
 * the host stands for the host: nothing of it may be read or changed, no file may appear in it.
 */
@OneContainerd
class AttacksTest extends ClientTest {

  private static final String SECRET = "a secret of the host";

  private final Path host;
  private final Path volume;

  AttacksTest(Containerd containerd) throws IOException {
    super(containerd);
    host = place("host");
    volume = place("volume");
    Files.setPosixFilePermissions(host, PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.setPosixFilePermissions(volume, PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.writeString(host.resolve("secret"), SECRET);
  }

  @AfterEach
  void theHostIsUntouched() throws IOException {
    try (Stream<Path> files = Files.list(host)) {
      assertThat(files).containsExactly(host.resolve("secret"));
    }
    assertThat(host.resolve("secret")).hasContent(SECRET);
  }

  /** A root directory of our own making that runs, for images whose paths lie in wait. */
  private Path hostileRoot() throws IOException {
    Path root = volume.resolve(Names.fresh("root"));
    for (String directory : List.of("bin", "dev", "etc", "proc", "sys", "tmp", "run")) {
      Files.createDirectories(root.resolve(directory));
    }
    Files.copy(Path.of("/bin/busybox").toRealPath(), root.resolve("bin/busybox"));
    for (String applet : List.of("sh", "sleep", "cat", "ls", "id", "echo", "true", "stat")) {
      Files.createSymbolicLink(root.resolve("bin").resolve(applet), Path.of("busybox"));
    }
    Ran harmless = runOrRefuse(OciSpec.running("true").rootPath(root.toString()), "nothing");
    assertThat(harmless.status()).isZero();
    return root;
  }

  private static void replaceByLink(Path path, String target) throws IOException {
    Files.deleteIfExists(path);
    Files.createSymbolicLink(path, Path.of(target));
  }

  /** Runs in a root of our own making; a refusal is as good as a clean run, if it names this. */
  private Ran runOrRefuse(OciSpec spec, String named) {
    return runOrRefuse(keep(client.containerOnItsOwnRoot(spec)), named);
  }

  private Ran runOrRefuse(TestContainer container, String named) {
    Stdio stdio = container.spec().isTerminal() ? Stdio.terminal() : Stdio.captured();
    try {
      int status = container.run(stdio).status();
      return new Ran(status, stdio.stdout(), stdio.stderr());
    } catch (StatusRuntimeException refused) {
      String words = String.valueOf(refused.getStatus().getDescription());
      assertThat(words).contains(named);
      return new Ran(-1, "", words);
    }
  }

  // CVE-2024-21626: a working directory through a descriptor that leaked.
  @Test
  void aWorkingDirectoryThroughADescriptorLeadsNowhere() {
    for (int fd = 3; fd < 12; fd++) {
      OciSpec spec =
          OciSpec.running(
              "sh",
              "-c",
              "cat ../../../../../.." + host + "/secret; cat ./../../../.." + host + "/secret");
      spec.workingDirectory("/proc/self/fd/" + fd);
      assertThat(runOrRefuse(container(spec), "/proc/self/fd").stdout()).doesNotContain(SECRET);
    }
  }

  @Test
  void anExecsWorkingDirectoryThroughADescriptorLeadsNowhere() {
    TestContainer container = sleeping();
    container.start();
    for (int fd = 3; fd < 12; fd++) {
      var process =
          container.spec().execProcess("sh", "-c", "cat ../../../../../.." + host + "/secret");
      process.put("cwd", "/proc/self/fd/" + fd);
      Stdio stdio = Stdio.captured();
      TestProcess exec = container.exec(Names.fresh("fd"), process, stdio);
      try {
        exec.start().await();
        assertThat(stdio.stdout()).doesNotContain(SECRET);
      } catch (StatusRuntimeException refused) {
        assertThat(refused.getStatus().getDescription()).contains("/proc/self/fd");
      }
    }
  }

  // CVE-2021-30465, CVE-2024-45310: mount targets that lead out of the root.
  @Test
  void aMountTargetThatIsALinkStaysInsideTheRoot() throws IOException {
    for (String target : List.of(host.toString(), "../../../../../../.." + host)) {
      Path root = hostileRoot();
      replaceByLink(root.resolve("mnt"), target);
      OciSpec spec =
          OciSpec.running("true")
              .rootPath(root.toString())
              .mount("tmpfs", "tmpfs", "/mnt/made/here", "nosuid");
      runOrRefuse(spec, "/mnt");
      assertThat(host.resolve("made")).doesNotExist();
    }
  }

  @Test
  void aBindTargetThatIsALinkStaysInsideTheRoot() throws IOException {
    Path root = hostileRoot();
    replaceByLink(root.resolve("mnt"), host.toString());
    Path source = Files.createDirectory(volume.resolve("source"));
    Files.writeString(source.resolve("appeared"), "x");
    runOrRefuse(
        OciSpec.running("true").rootPath(root.toString()).bind(source.toString(), "/mnt", "rw"),
        "/mnt");
    assertThat(host.resolve("appeared")).doesNotExist();
  }

  // CVE-2019-19921, CVE-2023-27561, CVE-2023-28642: /proc and /sys of the image as links.
  @Test
  @OnlyBrig
  void anImageWhoseProcIsALinkIsRefusedByName() throws IOException {
    for (String name : List.of("proc", "sys")) {
      Path root = hostileRoot();
      Files.createDirectory(root.resolve("evil"));
      Files.delete(root.resolve(name));
      Files.createSymbolicLink(root.resolve(name), Path.of("/evil"));
      Ran ran = runOrRefuse(OciSpec.running("true").rootPath(root.toString()), "/" + name);
      assertThat(ran.status()).isEqualTo(-1);
    }
  }

  // CVE-2026-41579, CVE-2025-52565, crun CVE-2026-47766 and others: the image's /dev is a link.
  @Test
  @OnlyBrig // runc 1.1.5 makes files there
  void anImageWhoseDevIsALinkTouchesNoFileOfTheHost() throws IOException {
    Path root = hostileRoot();
    Files.delete(root.resolve("dev"));
    Files.createSymbolicLink(root.resolve("dev"), host);
    runOrRefuse(OciSpec.running("true").rootPath(root.toString()), "/dev");
    runOrRefuse(OciSpec.running("true").rootPath(root.toString()).withoutMount("/dev"), "/dev");
  }

  // CVE-2025-31133: the mask's source is a link that the container placed.
  @Test
  @OnlyBrig // runc 1.1.5 shows the link's target
  void aMaskIsARealDevNullWhateverTheContainersDevHolds() throws IOException {
    Path dev = Files.createDirectory(volume.resolve("dev"));
    Path decoy = volume.resolve("decoy");
    Files.writeString(decoy, "decoy");
    Files.createSymbolicLink(dev.resolve("null"), Path.of("/proc/sys/kernel/domainname"));
    OciSpec spec =
        OciSpec.running("sh", "-c", "cat /etc/motd; stat -c %t:%T /etc/motd; echo out")
            .maskedPaths(List.of("/etc/motd"))
            .withoutMount("/dev")
            .withoutMount("/dev/pts")
            .withoutMount("/dev/shm")
            .withoutMount("/dev/mqueue")
            .bind(dev.toString(), "/dev", "rw");
    Ran ran = runOrRefuse(container(spec), "/dev");
    assertThat(ran.stdout()).doesNotContain("(none)").doesNotContain("brig test image");
    assertThat(ran.stdout() + ran.stderr()).containsAnyOf("out", "/dev");
    assertThat(decoy).hasContent("decoy");
  }

  // CVE-2025-52565: /dev/console as a link.
  @Test
  void theConsoleIsNotBoundThroughALink() throws IOException {
    Path dev = Files.createDirectory(volume.resolve("dev"));
    Files.createSymbolicLink(dev.resolve("console"), host.resolve("secret"));
    var before = Files.getLastModifiedTime(host.resolve("secret"));
    OciSpec spec =
        OciSpec.running("sh", "-c", "echo written > /dev/console")
            .terminal()
            .withoutMount("/dev")
            .withoutMount("/dev/pts")
            .withoutMount("/dev/shm")
            .withoutMount("/dev/mqueue")
            .bind(dev.toString(), "/dev", "rw");
    runOrRefuse(container(spec), "/dev");
    assertThat(Files.getLastModifiedTime(host.resolve("secret"))).isEqualTo(before);
    assertThat(Files.getAttribute(host.resolve("secret"), "unix:uid")).isEqualTo(0);
  }

  // CVE-2019-16884, CVE-2025-52881: something else where /proc belongs.
  @Test
  @OnlyBrig
  void aVolumeOverProcIsRefused() {
    for (String target : List.of("/proc", "/proc/self/attr", "/proc/sys")) {
      OciSpec spec = OciSpec.running("true").bind(volume.toString(), target, "rw");
      assertThat(Refusals.words(() -> container(spec).create())).contains(target);
    }
  }

  // CVE-2019-5736, CVE-2016-9962: what enters the container can be neither written to nor climbed
  // out of.
  @Test
  @OnlyBrig
  void aWatcherInsideCatchesNoProgramAndNoDirectoryOfTheHost() throws IOException {
    byte[] before = Files.readAllBytes(program());
    TestContainer container = sleeping();
    container.start();
    String seen = watched(container, () -> exec(container, "true"));
    assertThat(seen).contains("looks\tok").doesNotContain("foreign");
    // Executed by that name, the launcher's own program runs inside for a moment; it can be looked
    // at, and no more.
    String bySelf = watched(container, () -> exec(container, "/proc/self/exe"));
    assertThat(bySelf).contains("looks\tok").doesNotContain("exe\tok").doesNotContain("directory");
    assertThat(Arrays.equals(Files.readAllBytes(program()), before)).isTrue();
  }

  /** What the probe saw while something was executed beside it over and over. */
  private String watched(TestContainer container, Runnable execution) {
    Stdio stdio = Stdio.captured();
    TestProcess watcher =
        container
            .exec(
                Names.fresh("watcher"),
                container.spec().execProcess("brig-probe", "watch", "3"),
                stdio)
            .start();
    stdio.awaitStdout("watching");
    while (watcher.status() == Status.RUNNING) {
      execution.run();
    }
    watcher.delete();
    return stdio.stdout();
  }

  @Test
  @OnlyBrig
  void theEntrypointProcSelfExeReachesNoProgramOfTheHost() {
    Ran ran = runOrRefuse(container("/proc/self/exe", "-v"), "/proc/self/exe");
    assertThat(ran.status()).isNotZero();
    assertThat(ran.stdout()).isEmpty();
  }

  // CVE-2019-14271: a helper that loads libraries of the image.
  @Test
  @OnlyBrig
  void noLibraryOfTheImageIsLoadedOutsideIt() throws IOException {
    // The native program names no loader (PT_INTERP, 3): there is nothing to lead astray.
    assertThat(programHeaders(program())).isNotEmpty().doesNotContain(3);
    assertThat(programHeaders(Path.of("/bin/sh").toRealPath())).as("which has one").contains(3);
  }

  /** The types of an ELF file's program headers. */
  private static List<Integer> programHeaders(Path program) throws IOException {
    ByteBuffer elf = ByteBuffer.wrap(Files.readAllBytes(program)).order(ByteOrder.LITTLE_ENDIAN);
    int headers = (int) elf.getLong(32);
    int size = elf.getShort(54);
    return IntStream.range(0, elf.getShort(56))
        .mapToObj(i -> elf.getInt(headers + i * size))
        .toList();
  }

  private Path program() throws IOException {
    return containerd.settings().prefix().resolve("bin/containerd-shim-brig-v2").toRealPath();
  }

  // CVE-2022-0492: no way to a writable release_agent.
  @Test
  void noReleaseAgentCanBeWritten() {
    OciSpec spec =
        OciSpec.running(
                "sh",
                "-c",
                "for f in $(find /sys/fs/cgroup -name release_agent -o -name cgroup.procs 2>/dev/null); do echo tried; (echo 0 >> $f) 2>&1 && echo open $f; done; unshare -Urm sh -c 'mount -t cgroup -o rdma x /mnt && echo mounted' 2>&1; echo end")
            .mount("cgroup", "cgroup", "/sys/fs/cgroup", "ro", "nosuid", "noexec", "nodev");
    assertThat(run(spec).stdout())
        .contains("tried", "end")
        .doesNotContain("open ")
        .doesNotContain("mounted");
  }

  @Test
  void anIdThatIsAPathIsRefused() {
    for (String id : List.of("../escape", "a/b", "..", ".", "", "x".repeat(300))) {
      Refusals.of(() -> client.container(id, OciSpec.running("true")));
    }
  }

  @Test
  @OnlyBrig
  void theHostsDevNullKeepsItsOwner() throws IOException {
    TestContainer container = container(OciSpec.running("true").user(1000, 1000));
    container.run(Stdio.none());
    Path devNull = Path.of("/dev/null");
    assertThat(Files.getAttribute(devNull, "unix:uid")).isEqualTo(0);
    assertThat(Files.getAttribute(devNull, "unix:gid")).isEqualTo(0);
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(devNull)))
        .isEqualTo("rw-rw-rw-");
  }
}
