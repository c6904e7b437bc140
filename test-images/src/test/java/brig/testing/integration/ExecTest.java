package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Ctr;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Terminal;
import brig.testing.proto.task.Status;
import brig.testing.spec.OciSpec;
import io.grpc.Status.Code;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Processes executed in a running container. */
@EachContainerd
class ExecTest extends ClientTest {

  ExecTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void outputAndExitCodeComeThroughCtr() {
    TestContainer container = sleeping();
    container.start();
    Command.Result result =
        containerd.ctr().exec(container.id(), "sh", "-c", "echo out; echo err >&2; exit 6").run();
    assertThat(result.exitCode()).isEqualTo(6);
    assertThat(result.stdout()).isEqualTo("out\n");
    assertThat(result.stderr()).endsWith("err\n");
  }

  @Test
  void aTerminalIsATerminal() throws InterruptedException {
    TestContainer container = sleeping();
    container.start();
    Ctr ctr = containerd.ctr();
    try (Terminal terminal = new Terminal()) {
      terminal.resize(120, 40);
      Process process =
          terminal.start(
              ctr.line(
                  List.of(
                      "tasks",
                      "exec",
                      "--tty",
                      "--exec-id",
                      Names.fresh("exec"),
                      container.id(),
                      "sh",
                      "-c",
                      "tty; until [ -n \"$(stty size 2>/dev/null)\" ]; do usleep 10000; done; stty size; read line; echo got $line; exit 4")),
              containerd.environment());
      terminal.await("/dev/pts/");
      terminal.await("40 120");
      terminal.type("typed\n");
      terminal.await("got typed");
      assertThat(process.waitFor(60, TimeUnit.SECONDS)).isTrue();
      assertThat(process.exitValue()).isEqualTo(4);
    }
  }

  @Test
  void itStandsInTheContainersNamespacesAndCgroups() {
    TestContainer container = sleeping();
    Proc init = container.start().proc();
    TestProcess process =
        container
            .exec(Names.fresh("exec"), container.spec().execProcess("sleep", "600"), Stdio.none())
            .start();
    Proc exec = process.proc();
    for (String kind : List.of("pid", "mnt", "net", "ipc", "uts", "user", "cgroup")) {
      assertThat(exec.namespace(kind)).as(kind).isEqualTo(init.namespace(kind));
    }
    assertThat(exec.cgroups()).isEqualTo(init.cgroups());
    process.signal(9);
    assertThat(process.await().status()).isEqualTo(137);
    process.delete();
  }

  @Test
  void itHasTheRestrictionsOfTheContainer() {
    TestContainer container = sleeping();
    Proc init = container.start().proc();
    TestProcess process =
        container
            .exec(Names.fresh("exec"), container.spec().execProcess("sleep", "600"), Stdio.none())
            .start();
    Proc exec = process.proc();
    for (String field :
        List.of("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Uid", "Gid")) {
      assertThat(exec.status(field)).as(field).isEqualTo(init.status(field));
    }
    process.signal(9);
    process.await();
  }

  @Test
  void itHasItsOwnUserDirectoryAndEnvironment() {
    TestContainer container = sleeping();
    container.start();
    var process =
        container
            .spec()
            .execProcess(
                "sh", "-c", "id -u; id -g; id -G; pwd; echo $ASKED; touch /data/user/by-exec");
    process
        .putObject("user")
        .put("uid", 1000)
        .put("gid", 1000)
        .putArray("additionalGids")
        .add(50)
        .add(60);
    process.put("cwd", "/data/user");
    process.withArray("env").add("ASKED=for");
    Ran ran = exec(container, process);
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000\n1000\n1000 50 60\n/data/user\nfor\n");
    assertThat(exec(container, "stat", "-c", "%u:%g", "/data/user/by-exec").stdout())
        .isEqualTo("1000:1000\n");
  }

  @Test
  void stdinReachesItAndCloses() throws Exception {
    TestContainer container = sleeping();
    container.start();
    Stdio stdio = Stdio.interactive();
    TestProcess process =
        container.exec(Names.fresh("exec"), container.spec().execProcess("cat"), stdio).start();
    try (var stdin = stdio.openStdin()) {
      stdin.write("one\n".getBytes(java.nio.charset.StandardCharsets.UTF_8));
      stdio.awaitStdout("one\n");
      stdin.write("two\n".getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }
    process.closeStdin();
    assertThat(process.await().status()).isZero();
    assertThat(stdio.stdout()).isEqualTo("one\ntwo\n");
    process.delete();
  }

  @Test
  void aHangUpFromExecReachesInit() {
    TestContainer container =
        container("sh", "-c", "trap 'echo reloaded' HUP; echo ready; while :; do sleep 0.05; done");
    TestProcess init = container.start();
    init.stdio().awaitStdout("ready");
    assertThat(exec(container, "kill", "-HUP", "1").status()).isZero();
    init.stdio().awaitStdout("reloaded");
  }

  @Test
  void itSeesInitsDescriptorsAsUnderAnyRuntime() {
    TestContainer container = sleeping();
    container.start();
    Ran ran = exec(container, "ls", "/proc/1/fd");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("0\n1\n2\n");
  }

  @Test
  void aMissingExecutableIsNamedAndForgotten() {
    TestContainer container = sleeping();
    container.start();
    Stdio stdio = Stdio.captured();
    TestProcess process =
        container.exec(
            Names.fresh("exec"), container.spec().execProcess("/no/such/program"), stdio);
    assertThat(Refusals.words(process::start))
        .contains("/no/such/program")
        .containsPattern("no such file or directory|executable file not found");
    // Whoever waits for it hears of an end.
    process.await();
    process.delete();
    assertThat(exec(container, "echo", "still there").stdout()).isEqualTo("still there\n");
  }

  @Test
  void aSecondUseOfAnIdIsRefused() {
    TestContainer container = sleeping();
    container.start();
    TestProcess first =
        container.exec("same", container.spec().execProcess("sleep", "600"), Stdio.none()).start();
    Refusals.with(
        Code.ALREADY_EXISTS,
        () -> container.exec("same", container.spec().execProcess("true"), Stdio.none()));
    first.signal(9);
    first.await();
    first.delete();
    assertThat(
            container
                .exec("same", container.spec().execProcess("true"), Stdio.none())
                .start()
                .await()
                .status())
        .isZero();
  }

  @Test
  void anExecThatNeverStartedIsDeleted() {
    TestContainer container = sleeping();
    container.start();
    TestProcess process =
        container.exec("unstarted", container.spec().execProcess("true"), Stdio.captured());
    assertThat(process.status()).isEqualTo(Status.CREATED);
    assertThat(process.delete().status()).isZero();
    Refusals.with(Code.NOT_FOUND, process::status);
  }

  @Test
  void manyAtOnceAllAnswer() {
    TestContainer container = sleeping();
    container.start();
    List<TestProcess> processes = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      processes.add(
          container.exec(
              "many-" + i,
              container.spec().execProcess("sh", "-c", "echo number " + i + "; exit " + i),
              Stdio.captured()));
    }
    processes.forEach(TestProcess::start);
    for (int i = 0; i < 20; i++) {
      assertThat(processes.get(i).await().status()).isEqualTo(i);
      assertThat(processes.get(i).stdio().stdout()).isEqualTo("number " + i + "\n");
    }
  }

  @Test
  void anExecEndsWithItsContainer() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    TestProcess process =
        container
            .exec("bound", container.spec().execProcess("sleep", "600"), Stdio.captured())
            .start();
    init.signal(9);
    assertThat(init.await().status()).isEqualTo(137);
    assertThat(process.await().status()).isEqualTo(137);
  }

  @Test
  void aDescendantThatKeepsStdoutDoesNotHoldTheExecFast() {
    TestContainer container = sleeping();
    container.start();
    Stdio stdio = Stdio.captured();
    TestProcess process =
        container
            .exec(
                "leaver", container.spec().execProcess("sh", "-c", "sleep 600 & echo left"), stdio)
            .start();
    long before = System.nanoTime();
    assertThat(process.await().status()).isZero();
    process.delete();
    assertThat(stdio.stdout()).isEqualTo("left\n");
    assertThat(TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - before)).isLessThan(30);
  }

  @Test
  void aTerminalOfItsOwnIsResized() {
    TestContainer container = sleeping();
    container.start();
    Stdio stdio = Stdio.terminal();
    var spec =
        container
            .spec()
            .execProcess(
                "sh", "-c", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done");
    spec.put("terminal", true);
    TestProcess process = container.exec("sized", spec, stdio).start();
    stdio.awaitStdout("ready");
    process.resize(77, 33);
    stdio.awaitStdout("33 77");
    process.signal(9);
    process.await();
  }

  @Test
  void aDeviceThatIsForbiddenStaysForbidden() {
    TestContainer container = container(OciSpec.running("sleep", "600"));
    TestProcess init = container.start();
    assertThat(CgroupsV1.of(init.pid()).read("devices", "devices.list"))
        .doesNotContain("a *:* rwm");
    Ran ran =
        exec(
            container,
            "sh",
            "-c",
            "cd /dev && brig-probe mknod 1:1:c 1:11:c 10:232:c 10:229:c 254:0:b");
    for (String line : ran.stdout().lines().toList()) {
      assertThat(line.split("\t")[1]).as(line).isIn("EPERM", "EACCES", "not made");
    }
    Eventually.holds("all asked", () -> ran.stdout().lines().count() == 5, ran::stdout);
  }
}
