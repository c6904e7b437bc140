package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * Hooks: scripts for the host's shell, which call the host's own programs (mount, nsenter, cat),
 * linked dynamically against the host's libraries.
 */
@EachContainerd
class HooksTest extends ClientTest {
  private static final String TO_ALL = "rwxrwxrwx";
  private static final List<String> POINTS =
      List.of(
          "prestart",
          "createRuntime",
          "createContainer",
          "startContainer",
          "poststart",
          "poststop");

  /** Reads the state and finds the root as hooks do: by the bundle's configuration. */
  private static final String FIND_ROOT =
      """
      state=$(cat)
      field() { echo "$state" | sed "s/.*\\"$1\\":\\"\\{0,1\\}\\([^,}\\"]*\\).*/\\1/"; }
      pid=$(field pid)
      bundle=$(field bundle)
      grep -q '"path": *"rootfs"' "$bundle/config.json" || { echo no configuration >&2; exit 9; }
      root=$bundle/rootfs
      """;

  private final Path directory;

  HooksTest(Containerd containerd) throws IOException {
    super(containerd);
    directory = place("hooks");
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString(TO_ALL));
  }

  private String script(String name, String text) throws IOException {
    Path script = Files.writeString(directory.resolve(name), "#!/bin/sh\n" + text + "\n");
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    return script.toString();
  }

  private Path library() throws IOException {
    return Files.writeString(directory.resolve("library"), "from the host\n");
  }

  /** A workload that may do anything within its user namespace. */
  private static OciSpec mighty(String script) {
    return OciSpec.running("sh", "-c", script)
        .capabilities(
            List.of(
                "CAP_SYS_ADMIN", "CAP_SYS_CHROOT", "CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"));
  }

  private void mountedFileIsThereAndLocked(String point, String hook) throws IOException {
    Ran ran =
        run(
            mighty(
                    "cat /opt/library; umount /opt/library; ls "
                        + directory
                        + "; grep -c "
                        + directory
                        + " /proc/self/mountinfo; mount -o remount,rw /proc/sys")
                .hook(point, hook));
    // The one line that knows the directory is that of the file itself, as with any volume.
    assertThat(ran.stdout()).isEqualTo("from the host\n1\n");
    assertThat(ran.stderr())
        .contains("Invalid argument", "No such file or directory")
        .contains("mount: permission denied");
  }

  @ParameterizedTest
  @ValueSource(strings = {"prestart", "createRuntime", "createContainer"})
  void aHostFileThatAHookMountsIntoTheRootIsTheContainersAndLocked(String point)
      throws IOException {
    String hook =
        script(
            "mounts",
            FIND_ROOT
                + "mkdir -p $root/opt && touch $root/opt/library &&"
                + " mount --bind "
                + library()
                + " $root/opt/library");
    mountedFileIsThereAndLocked(point, hook);
  }

  /** As hooks for GPUs do. */
  @ParameterizedTest
  @ValueSource(strings = {"prestart", "createRuntime"})
  void aHookMayEnterTheContainersMountsByItsProcess(String point) throws IOException {
    String hook =
        script(
            "enters",
            FIND_ROOT
                + "exec nsenter -t $pid -m sh -c 'mkdir -p $1/opt && touch $1/opt/library &&"
                + " mount --bind $2 $1/opt/library' sh $root "
                + library());
    mountedFileIsThereAndLocked(point, hook);
  }

  @Test
  void aHookHasTheWholeState() throws IOException {
    OciSpec spec = OciSpec.running("true").annotation("org.example.key", "a \"quoted\"\nvalue");
    for (String point : POINTS.subList(0, 3)) {
      spec.hook(point, script("state-" + point, "cat > " + directory + "/$HOOK"));
    }
    TestContainer container = container(spec);
    TestProcess process = container.create();
    for (String point : POINTS.subList(0, 3)) {
      JsonNode state = new ObjectMapper().readTree(directory.resolve(point).toFile());
      assertThat(state.get("ociVersion").asText())
          .isEqualTo(spec.json().get("ociVersion").asText());
      assertThat(state.get("id").asText()).isEqualTo(container.id());
      assertThat(state.get("status").asText()).isEqualTo("creating");
      assertThat(state.get("pid").asInt())
          .isEqualTo(point.equals("createContainer") ? 1 : process.pid());
      assertThat(state.get("bundle").asText()).isEqualTo(container.bundle().toString());
      assertThat(state.get("annotations").get("org.example.key").asText())
          .isEqualTo("a \"quoted\"\nvalue");
    }
  }

  @Test
  void eachHookRunsAtItsPoint() throws IOException {
    Path log = Files.createFile(directory.resolve("log"));
    Files.setPosixFilePermissions(log, PosixFilePermissions.fromString(TO_ALL));
    String line = "echo \"$HOOK $(sed 's/.*status\":\"\\([a-z]*\\).*/\\1/')\" >> ";
    String host = script("host", line + log);
    OciSpec spec = OciSpec.running("sh", "-c", "echo program >> /log/log; sleep 600");
    spec.bind(directory.toString(), "/log", "rw");
    spec.hook("startContainer", "/bin/sh", "-c", line + "/log/log");
    for (String point :
        List.of("poststop", "poststart", "createContainer", "createRuntime", "prestart")) {
      spec.hook(point, host);
    }
    TestContainer container = container(spec);
    TestProcess process = container.create();
    assertThat(log)
        .hasContent("prestart creating\ncreateRuntime creating\ncreateContainer creating\n");
    process.start();
    Eventually.holds("the program runs", () -> lines(log).contains("program"));
    assertThat(lines(log).subList(3, 6))
        .containsExactlyInAnyOrder("startContainer created", "poststart running", "program")
        .containsSubsequence("startContainer created", "program");
    process.kill(9, true);
    process.await();
    container.delete();
    assertThat(lines(log).subList(6, lines(log).size())).containsExactly("poststop stopped");
  }

  private static List<String> lines(Path file) {
    try {
      return Files.readAllLines(file);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"prestart", "createRuntime", "createContainer"})
  void aFailingHookFailsTheCreateWithItsLastWordsAndLeavesNothing(String point) throws IOException {
    Path stopped = directory.resolve("stopped");
    TestContainer container =
        container(
            OciSpec.running("sleep", "600")
                .hook(point, script("fails", "seq 10000; echo no such device >&2; exit 3"))
                .hook("poststop", script("stops", "cat > " + stopped)));
    String told = Refusals.words(() -> container.create(Stdio.captured()));
    assertThat(told).contains("run hook", directory + "/fails", "exit status 3", "no such device");
    assertThat(told.length()).isLessThan(8192);
    assertThat(stopped).content().contains("\"status\":\"stopped\"");
    assertThat(Mounts.beneath(containerd.state()))
        .noneMatch(mount -> mount.point().contains(container.id()));
    Eventually.holds(
        "no process of it is left", () -> Processes.whoseCommandLineHas(container.id()).isEmpty());
  }

  @Test
  void aHookThatTakesTooLongIsEnded() throws IOException {
    OciSpec spec = OciSpec.running("true").hook("createRuntime", script("slow", "exec sleep 600"));
    spec.json().withObject("/hooks/createRuntime/0").put("timeout", 1);
    assertThat(Refusals.words(() -> container(spec).create(Stdio.captured())))
        .contains(directory + "/slow", "not finished after 1 s");
  }

  @Test
  void aFailingPoststartHookEndsTheContainer() throws IOException {
    TestContainer container =
        container(
            OciSpec.running("sleep", "600")
                .hook("poststart", script("fails", "echo no such luck >&2; exit 3")));
    TestProcess process = container.create();
    Assertions.assertThatThrownBy(process::start)
        .isInstanceOf(StatusRuntimeException.class)
        .hasMessageContaining("no such luck");
    assertThat(process.await().status()).isEqualTo(137);
  }

  @Test
  void aFailingPoststopHookKeepsNothingFromGoing() throws IOException {
    Path second = directory.resolve("second");
    TestContainer container =
        container(
            OciSpec.running("sh", "-c", "exit 5")
                .hook("poststop", script("fails", "exit 3"))
                .hook("poststop", script("second", "cat > " + second)));
    assertThat(container.run(Stdio.captured()).status()).isEqualTo(5);
    container.delete();
    assertThat(second).exists();
    assertThat(run("echo", "another").stdout()).isEqualTo("another\n");
  }

  @Test
  void aMissingHookIsNamed() {
    assertThat(
            Refusals.words(() ->
                container(OciSpec.running("true").hook("createRuntime", "/no/such/hook"))
                    .create(Stdio.captured())))
        .contains("/no/such/hook", "no such file or directory");
  }
}
