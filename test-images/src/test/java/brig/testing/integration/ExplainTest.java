package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Explained;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Proc;
import brig.testing.proto.task.Status;
import brig.testing.spec.OciSpec;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Every line of {@code brig explain} says what the kernel itself says, whatever state it is in. */
@OneContainerd
@OnlyBrig
class ExplainTest extends ClientTest {

  private static final Map<String, String> SETS =
      Map.of(
          "capabilities: bounding", "CapBnd",
          "effective", "CapEff",
          "permitted", "CapPrm",
          "inheritable", "CapInh",
          "ambient", "CapAmb");

  private static final Map<String, String> NAMESPACES =
      Map.of(
          "cgroup", "cgroup",
          "ipc", "ipc",
          "mount", "mnt",
          "network", "net",
          "pid", "pid",
          "time", "time",
          "user", "user",
          "uts", "uts");

  ExplainTest(Containerd containerd) {
    super(containerd);
  }

  private static OciSpec limited() {
    return OciSpec.running("sleep", "600").memoryLimit(64 << 20).pidsLimit(77);
  }

  private Explained explained(TestContainer container) {
    return Explained.of(containerd.brig(), Containerd.NAMESPACE, container.id());
  }

  @Test
  void everyLineIsWhatTheKernelSays() {
    TestContainer container = container(limited());
    TestProcess init = container.start();
    Explained told = explained(container);
    assertThat(told.state()).isEqualTo("running");
    assertThat(told.pid()).isEqualTo(init.pid());
    assertThat(told.lines()).isNotEmpty();
    for (Explained.Line line : told.lines()) {
      assertThat(line.kernel()).as(line.name()).isEqualTo(kernel(line.name(), init.pid()));
    }
    assertThat(told.lines().stream().map(Explained.Line::name))
        .containsAll(SETS.keySet())
        .contains("user map", "group map", "namespaces", "no_new_privs", "seccomp")
        .contains("LSM label", "Landlock", "memory.limit_in_bytes", "pids.max");
  }

  @Test
  void onePodIsExplainedWhateverItMayNotSeeOfAnother() {
    List<TestContainer> containers = List.of(container(limited()), container(limited()));
    for (TestContainer container : containers) {
      int pid = container.start().pid();
      assertThat(explained(container).line("namespaces").kernel())
          .isEqualTo(kernel("namespaces", pid));
    }
  }

  @Test
  void aContainerThatWasNotStartedIsExplained() {
    TestContainer container = container(limited());
    TestProcess init = container.create();
    Explained told = explained(container);
    assertThat(told.state()).isEqualTo("created");
    for (Explained.Line line : told.lines()) {
      assertThat(line.kernel()).as(line.name()).isEqualTo(kernel(line.name(), init.pid()));
    }
  }

  @Test
  void aFrozenOneIsExplained() {
    TestContainer container = container(limited());
    TestProcess init = container.start();
    container.pause();
    try {
      Explained told = explained(container);
      assertThat(told.state()).isEqualTo("paused");
      for (Explained.Line line : told.lines()) {
        assertThat(line.kernel()).as(line.name()).isEqualTo(kernel(line.name(), init.pid()));
      }
    } finally {
      container.resume();
    }
  }

  @Test
  void oneThatHasEndedOrIsGoneIsExplainedByWhatTheKernelSaidLast() {
    TestContainer container = container(limited());
    TestProcess init = container.start();
    Map<String, String> alive = new TreeMap<>();
    for (Explained.Line line : explained(container).lines()) {
      alive.put(line.name(), kernel(line.name(), init.pid()));
    }
    init.signal(9);
    init.await();
    Explained ended = explained(container);
    assertThat(ended.state()).isEqualTo("stopped");
    assertThat(kernelLines(ended)).isEqualTo(alive);
    init.delete();
    Explained gone = explained(container);
    assertThat(gone.state()).isEqualTo("gone");
    assertThat(kernelLines(gone)).isEqualTo(alive);
  }

  @Test
  void aProgramThatEndsAtOnceHasBeenReadAfterItsExecve() {
    TestContainer container = container(limited().command("true"));
    container.start().await();
    Map<String, String> told = kernelLines(explained(container));
    assertThat(told.get("capabilities: bounding")).contains("chown").contains("setfcap");
    assertThat(told).containsEntry("seccomp", "mode 2: filter (1 installed)");
    assertThat(told).containsEntry("no_new_privs", "yes");
    assertThat(told.get("namespaces")).startsWith("own: ");
  }

  @Test
  void aProgramInAUserNamespaceOfItsOwnIsNotTakenForOneThatBrokeOut() {
    OciSpec spec = OciSpec.running("unshare", "-U", "sleep", "600");
    spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    TestContainer container = container(spec);
    TestProcess init = container.create();
    String planned = init.proc().namespace("user");
    init.start();
    Eventually.holds(
        "the program is in its own user namespace",
        () -> !init.proc().namespace("user").equals(planned));
    assertThat(container.status()).isEqualTo(Status.RUNNING);
  }

  @Test
  void theTableHasTheSameLines() {
    TestContainer container = container(limited());
    container.start();
    String table = containerd.brig().command("explain", container.id()).run().orFail().stdout();
    assertThat(table.lines().findFirst())
        .hasValueSatisfying(
            first -> assertThat(first).startsWith(container.id() + ": class brig, running"));
    for (Explained.Line line : explained(container).lines()) {
      assertThat(table)
          .contains(
              "\n"
                  + (SETS.containsKey(line.name()) && !line.name().contains(":") ? "  " : "")
                  + line.name());
    }
    assertThat(table).contains("ASKED", "GRANTED", "THE KERNEL SAYS");
  }

  @Test
  void thePlanIsPrinted() {
    TestContainer container = container(limited());
    container.start();
    String plan =
        containerd.brig().command("explain", "--plan", container.id()).run().orFail().stdout();
    assertThat(plan)
        .contains("container_id: \"" + container.id() + "\"")
        .contains("asked_by: \"linux.resources.memory.limit\"")
        .contains("args: \"sleep\"")
        .contains("instructions>");
  }

  @Test
  void psListsEachWithItsState() {
    TestContainer running = container(limited());
    int pid = running.start().pid();
    TestContainer created = container(limited());
    created.create();
    TestContainer ended = container(limited().command("sh", "-c", "exit 5"));
    ended.start().await();
    String table = containerd.brig().command("ps").run().orFail().stdout();
    assertThat(row(table, running)).contains(" running ", " " + pid + " ");
    assertThat(row(table, created)).contains(" created ");
    assertThat(row(table, ended)).contains(" stopped (5) ");
    String json = containerd.brig().command("ps", "--json").run().orFail().stdout();
    assertThat(json).contains(running.id(), created.id(), ended.id(), "\"exitStatus\" : 5");
  }

  @Test
  void whatIsNotThereIsSaidWithARemedy() {
    Command.Result result = containerd.brig().command("explain", "nobody").run();
    assertThat(result.exitCode()).isEqualTo(1);
    assertThat(result.stderr())
        .isEqualTo("brig: explain: nobody: no such container; brig ps lists those there are\n");
  }

  private static String row(String table, TestContainer container) {
    return table
        .lines()
        .filter(line -> line.contains(" " + container.id() + " "))
        .findFirst()
        .orElseThrow(() -> new AssertionError(container.id() + " isn't in\n" + table));
  }

  private static Map<String, String> kernelLines(Explained told) {
    return told.lines().stream()
        .collect(Collectors.toMap(Explained.Line::name, Explained.Line::kernel));
  }

  /** What the kernel says of a process, found by this harness and put in explain's words. */
  private static String kernel(String name, int pid) {
    Proc proc = new Proc(pid);
    if (SETS.containsKey(name)) {
      return capabilities(proc.capabilities(SETS.get(name)));
    }
    return switch (name) {
      case "user map" -> maps(proc.read("uid_map"));
      case "group map" -> maps(proc.read("gid_map"));
      case "namespaces" -> namespaces(proc);
      case "no_new_privs" -> proc.status("NoNewPrivs").equals("1") ? "yes" : "no";
      case "seccomp" -> {
        assertThat(proc.status("Seccomp")).isEqualTo("2");
        yield "mode 2: filter (" + proc.status("Seccomp_filters") + " installed)";
      }
      case "LSM label" -> label(proc);
      case "Landlock" -> landlock();
      default -> limit(name, pid);
    };
  }

  private static String maps(String file) {
    return file.lines()
        .map(line -> line.strip().replaceAll("\\s+", " "))
        .collect(Collectors.joining("\n"));
  }

  private static String namespaces(Proc proc) {
    List<String> own = new ArrayList<>();
    List<String> shared = new ArrayList<>();
    new TreeMap<>(NAMESPACES)
        .forEach((name, link) -> (proc.sharesWithHost(link) ? shared : own).add(name));
    return "own: "
        + String.join(", ", own)
        + (shared.isEmpty() ? "" : "\nthe host's: " + String.join(", ", shared));
  }

  /** By the names that libcap has for the bits. */
  private static String capabilities(long mask) {
    if (mask == 0) {
      return "none";
    }
    String decoded =
        Command.of("capsh", "--decode=" + Long.toHexString(mask)).run().orFail().stdout();
    return decoded
        .strip()
        .replaceFirst(".*=", "")
        .replace("cap_", "")
        .toLowerCase(Locale.ROOT)
        .replace(',', ' ');
  }

  private static String label(Proc proc) {
    try {
      return Files.readString(proc.path("attr/current")).replace("\0", "").strip();
    } catch (java.io.IOException e) {
      return "no module has one";
    }
  }

  /** The keeper's probe can't be repeated from here; {@code WallTest} tries the domain itself. */
  private static String landlock() {
    return "probed: signal outside refused\nprobed: abstract socket outside refused";
  }

  private static String limit(String file, int pid) {
    String controller = file.substring(0, file.indexOf('.'));
    Path path = CgroupsV1.of(pid).directory(controller).resolve(file);
    try {
      return Files.readString(path).strip();
    } catch (java.io.IOException e) {
      throw new AssertionError(file, e);
    }
  }
}
