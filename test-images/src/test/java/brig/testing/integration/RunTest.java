package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Ctr;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import brig.testing.kernel.Terminal;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** {@code ctr run} behaves as its users know it. */
@EachContainerd
class RunTest extends TidyTest {

  private final Containerd containerd;
  private final Ctr ctr;
  private final String id = Names.fresh("run");

  RunTest(Containerd containerd) {
    this.containerd = containerd;
    this.ctr = containerd.ctr();
  }

  @AfterEach
  void removeContainer() {
    ctr.remove(id);
  }

  @Test
  void outputAndExitCodeComeThrough() {
    Command.Result result =
        ctr.run(id).foreground("sh", "-c", "echo to stdout; echo to stderr >&2; exit 7").run();
    assertThat(result.exitCode()).isEqualTo(7);
    assertThat(result.stdout()).isEqualTo("to stdout\n");
    assertThat(result.stderr()).isEqualTo("to stderr\n");
  }

  @Test
  void aDeathBySignalIs128AndTheSignal() {
    try (Command.Running running = ctr.run(id).foreground("sleep", "600").start()) {
      Eventually.holds("it runs", () -> ctr.status(id).equals("RUNNING"));
      ctr.command("tasks", "kill", "--signal", "KILL", id).run().orFail();
      assertThat(running.await().exitCode()).isEqualTo(137);
    }
  }

  @Test
  void aForegroundRunLeavesNothingBehind() {
    int[] pid = new int[1];
    try (Command.Running running = ctr.run(id).foreground("sleep", "1").start()) {
      Eventually.holds("it runs", () -> ctr.status(id).equals("RUNNING"));
      pid[0] = ctr.pid(id);
      assertThat(running.await().exitCode()).isZero();
    }
    assertThat(ctr.status(id)).isEmpty();
    assertThat(Processes.exists(pid[0])).isFalse();
    assertThat(containerd.bundle(Containerd.NAMESPACE, id)).doesNotExist();
    assertThat(Mounts.beneath(containerd.state())).noneMatch(mount -> mount.point().contains(id));
  }

  @Test
  void aDetachedContainerRunsOnAndIsDeleted() {
    ctr.run(id).detached("sleep", "600").run().orFail();
    assertThat(ctr.status(id)).isEqualTo("RUNNING");
    int pid = ctr.pid(id);
    assertThat(Processes.commandLine(pid)).isEqualTo("sleep 600");
    ctr.command("tasks", "kill", "--signal", "KILL", id).run().orFail();
    Eventually.holds("it stopped", () -> ctr.status(id).equals("STOPPED"));
    ctr.command("tasks", "delete", id).run();
    assertThat(ctr.status(id)).isEmpty();
  }

  @Test
  void stdinReachesTheProcessToItsEnd() throws IOException {
    String text = "line one\nline two\n";
    try (Command.Running running = ctr.run(id).foreground("cat").openInput().start();
        var stdin = running.stdin()) {
      // ctr loses an end of input that comes before the task does.
      Eventually.holds("it runs", () -> ctr.status(id).equals("RUNNING"));
      stdin.write(text.getBytes(StandardCharsets.UTF_8));
      stdin.close();
      Command.Result result = running.await();
      assertThat(result.stdout()).isEqualTo(text);
      assertThat(result.exitCode()).isZero();
    }
  }

  @Test
  void aNetworkOfItsOwnHasItsLoopback() {
    assertThat(
            ctr.run(id)
                .foreground("sh", "-c", "ip addr show lo; ping -c 1 127.0.0.1")
                .run()
                .orFail()
                .stdout())
        .contains("127.0.0.1/8", "LOOPBACK,UP", "1 packets received");
  }

  @Test
  void environmentAndDirectoryAreAsAsked() {
    Command.Result result =
        ctr.run(id)
            .flags("--env", "ASKED=for", "--cwd", "/data/user")
            .foreground("sh", "-c", "echo $ASKED; pwd")
            .run()
            .orFail();
    assertThat(result.stdout()).isEqualTo("for\n/data/user\n");
  }

  @Test
  void theImagesLayersLieOverEachOther() {
    String seen =
        ctr.run(id)
            .foreground(
                "sh",
                "-c",
                "cat /etc/overlaid; ls /etc/deleted-above; stat -c %u:%g /data/user/file /data/nobody/file /etc/passwd")
            .run()
            .stdout();
    assertThat(seen).isEqualTo("upper\n1000:1000\n65534:65534\n0:0\n");
  }

  @Test
  void aReadOnlyRootTakesNoFile() {
    Command.Result result =
        ctr.run(id).flags("--read-only").foreground("sh", "-c", "echo x > /file").run();
    assertThat(result.exitCode()).isNotZero();
    assertThat(result.stderr()).containsIgnoringCase("read-only");
  }

  @Test
  void aVolumeIsSharedWithTheHost() throws IOException {
    Path volume = place("volume");
    Files.writeString(volume.resolve("given"), "from the host\n");
    Command.Result result =
        ctr.run(id)
            .flags("--mount", "type=bind,src=" + volume + ",dst=/mnt,options=rbind:rw")
            .foreground("sh", "-c", "cat /mnt/given; echo from inside > /mnt/made")
            .run()
            .orFail();
    assertThat(result.stdout()).isEqualTo("from the host\n");
    assertThat(volume.resolve("made")).hasContent("from inside\n");
    // As root inside, so as root on the host's volume: ids there are the image's.
    assertThat(Files.getAttribute(volume.resolve("made"), "unix:uid")).isEqualTo(0);
  }

  @Test
  void theHostsNetworkIsThereWhenAskedFor() {
    Command.Result result =
        ctr.run(id).flags("--net-host").foreground("readlink", "/proc/self/ns/net").run().orFail();
    assertThat(result.stdout().trim())
        .isEqualTo(
            new brig.testing.kernel.Proc((int) ProcessHandle.current().pid()).namespace("net"));
  }

  @Test
  void aTerminalIsATerminal() throws Exception {
    try (Terminal terminal = new Terminal()) {
      terminal.resize(132, 43);
      Process process =
          terminal.start(
              ctr.line(
                  ctr.run(id)
                      .flags("--rm", "--tty")
                      .arguments(
                          "sh",
                          "-c",
                          "tty; until [ -n \"$(stty size 2>/dev/null)\" ]; do usleep 10000; done; stty size; read line; echo got $line; exit 5")),
              containerd.environment());
      terminal.await("/dev/pts/");
      terminal.await("43 132");
      terminal.type("typed\n");
      terminal.await("got typed");
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isEqualTo(5);
    }
  }

  @Test
  void aMissingExecutableIsNamedAtCreate() {
    Command.Result result = ctr.run(id).foreground("/no/such/program").run();
    assertThat(result.exitCode()).isNotZero();
    // Docker makes 127 of these words.
    assertThat(result.stderr())
        .contains("/no/such/program")
        .containsPattern("no such file or directory|executable file not found");
  }

  @Test
  void aFileThatIsNoProgramIsNamedAtCreate() {
    Command.Result result = ctr.run(id).foreground("/etc/passwd").run();
    assertThat(result.exitCode()).isNotZero();
    // Docker makes 126 of these words.
    assertThat(result.stderr()).contains("/etc/passwd").contains("permission denied");
  }
}
