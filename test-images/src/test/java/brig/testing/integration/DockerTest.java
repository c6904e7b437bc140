package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command.Result;
import brig.testing.Containerd;
import brig.testing.Docker;
import brig.testing.Eventually;
import brig.testing.Images;
import brig.testing.Names;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/**
 * Docker's way: the root is an overlay that Docker has mounted, the network comes by a hook that is
 * Docker's daemon itself, and the command line's exit codes come from the words of errors.
 */
@Tag("integration")
@ParameterizedClass(name = "containerd {0}", autoCloseArguments = false)
@ArgumentsSource(RunningContainerds.EachDocker.class)
class DockerTest {

  private final Docker docker;
  private final Containerd containerd;
  private final List<String> started = new ArrayList<>();

  DockerTest(Docker docker) {
    this.docker = docker;
    this.containerd = docker.containerd();
  }

  private String start(String... arguments) {
    String id = docker.start(arguments);
    started.add(id);
    return id;
  }

  private String sleeping(String... options) {
    List<String> line = new ArrayList<>(List.of(options));
    line.addAll(List.of(Images.BUSYBOX, "sleep", "600"));
    return start(line.toArray(String[]::new));
  }

  private Result run(String... arguments) {
    List<String> line = new ArrayList<>(List.of("--rm"));
    line.addAll(List.of(arguments));
    return docker.run(line.toArray(String[]::new)).run();
  }

  private Result shell(String script) {
    return run(Images.BUSYBOX, "sh", "-c", script);
  }

  private String exec(String container, String script) {
    return docker.say("exec", container, "sh", "-c", script);
  }

  @AfterEach
  void removeWhatWasStarted() {
    for (String id : started) {
      docker.docker("rm", "--force", id).run().orFail();
    }
  }

  @Test
  @OnlyBrig
  void aContainerStandsBehindTheWall() {
    Proc init = new Proc(docker.pid(sleeping()));
    assertThat(init.sharesWithHost("user")).isFalse();
    assertThat(init.uidMap().getFirst().outside()).isGreaterThan(65_535);
    assertThat(init.status("Seccomp")).isEqualTo("2");
  }

  @Test
  @OnlyBrig
  void neitherPrivilegedNorTheHostsUserNamespaceTakesTheWallAway() {
    for (String wish : new String[] {"--privileged", "--userns=host"}) {
      Result ran =
          run(
              wish,
              Images.BUSYBOX,
              "sh",
              "-c",
              "cat /proc/self/uid_map; grep Seccomp: /proc/self/status");
      assertThat(ran.exitCode()).as(ran.stderr()).isZero();
      String[] map = ran.stdout().strip().split("\\s+");
      assertThat(Long.parseLong(map[1])).as(wish).isGreaterThan(65_535);
      assertThat(ran.stdout()).as(wish).containsPattern("Seccomp:\\s+2");
    }
  }

  @Test
  void outputAndExitCodePassThrough() {
    Result ran = shell("echo out; echo err >&2; exit 7");
    assertThat(ran.exitCode()).isEqualTo(7);
    assertThat(ran.stdout()).isEqualTo("out\n");
    assertThat(ran.stderr()).isEqualTo("err\n");
    assertThat(docker.run("--rm", "-i", Images.BUSYBOX, "cat").input("typed").run().stdout())
        .isEqualTo("typed");
  }

  @Test
  void whatCanNotBeStartedHasDockersExitCodes() {
    assertThat(run(Images.BUSYBOX, "/no/such/program").exitCode()).isEqualTo(127);
    assertThat(run(Images.BUSYBOX, "no-such-program").exitCode()).isEqualTo(127);
    assertThat(run(Images.BUSYBOX, "/etc/motd").exitCode()).isEqualTo(126);
    assertThat(run("--workdir", "/etc/motd", Images.BUSYBOX, "true").exitCode())
        .isBetween(125, 127);
    String running = sleeping();
    // This Docker doesn't tell the two apart at exec, whatever the runtime.
    assertThat(docker.docker("exec", running, "/no/such/program").run().exitCode()).isEqualTo(126);
    assertThat(docker.docker("exec", running, "/etc/motd").run().exitCode()).isEqualTo(126);
  }

  @Test
  void execHasItsOwnUserDirectoryAndEnvironment() {
    String container = sleeping();
    Result ran =
        docker
            .docker(
                "exec",
                "--user",
                "1000",
                "--workdir",
                "/data/user",
                "--env",
                "A=b",
                container,
                "sh",
                "-c",
                "id -u; pwd; echo $A; exit 5")
            .run();
    assertThat(ran.stdout()).isEqualTo("1000\n/data/user\nb\n");
    assertThat(ran.exitCode()).isEqualTo(5);
  }

  @Test
  void aTerminalIsOne() {
    Result ran =
        brig.testing.Command.of(
                "script",
                "-qec",
                docker.run("--rm", "-t", Images.BUSYBOX, "tty").toString(),
                "/dev/null")
            .run();
    assertThat(ran.stdout()).contains("/dev/pts/0");
  }

  @Test
  void stopWaitsAndKillDoesNot() {
    String patient =
        start(
            Images.BUSYBOX,
            "sh",
            "-c",
            "trap 'exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    Eventually.holds("it is ready", () -> docker.say("logs", patient).contains("ready"));
    docker.say("stop", patient);
    assertThat(exitCode(patient)).isEqualTo("3");
    String killed = sleeping();
    docker.say("kill", "--signal", "KILL", killed);
    assertThat(docker.say("wait", killed)).isEqualTo("137");
    docker.say("start", killed);
    assertThat(exec(killed, "echo again")).isEqualTo("again");
  }

  private String exitCode(String container) {
    return docker.say("inspect", "--format", "{{.State.ExitCode}}", container);
  }

  @Test
  void logsKeepBothStreams() {
    String container = start(Images.BUSYBOX, "sh", "-c", "echo out; echo err >&2");
    docker.say("wait", container);
    Result logs = docker.docker("logs", container).run();
    assertThat(logs.stdout()).isEqualTo("out\n");
    assertThat(logs.stderr()).isEqualTo("err\n");
  }

  @Test
  void limitsStandInTheCgroups() {
    String container =
        sleeping("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50", "--cpu-shares", "256");
    CgroupsV1 groups = CgroupsV1.of(docker.pid(container));
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("67108864");
    assertThat(groups.read("cpu", "cpu.cfs_quota_us")).isEqualTo("50000");
    assertThat(groups.read("cpu", "cpu.shares")).isEqualTo("256");
    assertThat(groups.read("pids", "pids.max")).isEqualTo("50");
    docker.say("update", "--memory", "96m", "--memory-swap", "-1", container);
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("100663296");
    assertThat(docker.say("stats", "--no-stream", "--format", "{{.MemUsage}}", container))
        .contains("/ 96MiB");
    docker.say("pause", container);
    assertThat(groups.read("freezer", "freezer.state")).isEqualTo("FROZEN");
    docker.say("unpause", container);
    assertThat(docker.say("top", container)).contains("sleep 600");
  }

  @Test
  void outOfMemoryIsSaid() {
    String container = start("--memory", "24m", Images.BUSYBOX, "brig-probe", "eat", "256");
    assertThat(docker.say("wait", container)).isEqualTo("137");
    assertThat(docker.say("inspect", "--format", "{{.State.OOMKilled}}", container))
        .isEqualTo("true");
  }

  @Test
  void usersAndVolumesHaveTheirIds() throws IOException {
    Path volume =
        Files.createDirectories(containerd.directory().resolve(Names.fresh("docker-volume")));
    Files.setAttribute(volume, "unix:uid", 1000);
    Result ran =
        run(
            "--user",
            "1000:1000",
            "--group-add",
            "50",
            "--volume",
            volume + ":/volume",
            Images.BUSYBOX,
            "sh",
            "-c",
            "id -G; touch /volume/new; stat -c %u /volume/new");
    assertThat(ran.orFail().stdout()).isEqualTo("1000 50\n1000\n");
    assertThat(Files.getAttribute(volume.resolve("new"), "unix:uid")).isEqualTo(1000);
    assertThat(
            run("--volume", volume + ":/volume:ro", Images.BUSYBOX, "touch", "/volume/x").stderr())
        .contains("Read-only file system");
    assertThat(
            run(
                    "--read-only",
                    "--tmpfs",
                    "/tmp",
                    Images.BUSYBOX,
                    "sh",
                    "-c",
                    "touch /tmp/x && touch /x")
                .stderr())
        .contains("/x: Read-only file system");
  }

  @Test
  void aCommitHasWhatARunningContainerWrote() {
    String container = sleeping();
    exec(container, "echo made > /made; chown 1000:50 /made; rm /etc/motd");
    String image = "brig.test/" + Names.fresh("committed");
    docker.say("commit", container, image);
    assertThat(run(image, "sh", "-c", "cat /made; stat -c %u:%g /made; ls /etc/motd").stdout())
        .isEqualTo("made\n1000:50\n");
    docker.say("rmi", image);
  }

  @Test
  void diffAndCpHaveWhatAStoppedContainerWrote() {
    String container = sleeping();
    exec(container, "echo made > /etc/made; chown 1000:50 /etc/made; rm /etc/motd");
    docker.say("kill", container);
    docker.say("wait", container);
    assertThat(docker.say("diff", container).lines())
        .contains("C /etc", "A /etc/made", "D /etc/motd");
    Path copy = containerd.directory().resolve(Names.fresh("copy"));
    docker.say("cp", container + ":/etc/made", copy.toString());
    assertThat(copy).hasContent("made\n");
  }

  @Test
  void aRunningContainersFilesAreCopiedOutAndNewOnesIn() throws IOException {
    String container = sleeping();
    exec(container, "echo made > /made");
    Path copy = containerd.directory().resolve(Names.fresh("copy"));
    docker.say("cp", container + ":/made", copy.toString());
    assertThat(copy).hasContent("made\n");
    docker.say("cp", container + ":/data/user/file", copy.toString());
    assertThat(copy).hasContent("user\n");
    docker.say("cp", copy.toString(), container + ":/given");
    assertThat(exec(container, "cat /given; stat -c %u /given")).isEqualTo("user\n0");
  }

  @Test
  void whatIsCopiedIntoAStoppedContainerIsThereAtItsNextStart() throws IOException {
    String container = start(Images.BUSYBOX, "sh", "-c", "cat /given 2>/dev/null; true");
    docker.say("wait", container);
    Path given = Files.writeString(containerd.directory().resolve(Names.fresh("given")), "given\n");
    docker.say("cp", given.toString(), container + ":/given");
    docker.say("start", container);
    docker.say("wait", container);
    assertThat(docker.say("logs", container)).isEqualTo("given");
  }

  @Test
  void noNetworkIsLoopbackAloneAndTheHostsIsTheHosts() {
    assertThat(run("--network", "none", Images.BUSYBOX, "ls", "/sys/class/net").stdout())
        .isEqualTo("lo\n");
    assertThat(new Proc(docker.pid(sleeping("--network", "host"))).sharesWithHost("net")).isTrue();
  }

  @Test
  void containersOfABridgeReachEachOther() {
    String network = Names.fresh("net");
    docker.say(
        "network",
        "create",
        "--subnet",
        containerd.network().otherSubnet(),
        "--opt",
        "com.docker.network.bridge.enable_ip_masquerade=false",
        network);
    String one = sleeping("--network", network);
    String address =
        docker.say(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", one);
    assertThat(exec(one, "ip -4 addr show eth0")).contains(address);
    assertThat(run("--network", network, Images.BUSYBOX, "brig-probe", "ping", address).stdout())
        .startsWith("ping\tok");
    assertThat(run("--network", network, Images.BUSYBOX, "brig-probe", "bind", "80").stdout())
        .startsWith("bind\tok");
    docker.say("rm", "--force", one);
    started.remove(one);
    docker.say("network", "rm", network);
  }

  @Test
  void aContainerJoinsTheProcessesOfAnother() {
    String first = sleeping();
    assertThat(run("--pid", "container:" + first, Images.BUSYBOX, "ps", "-o", "args").stdout())
        .contains("sleep 600");
  }

  @Test
  void removalLeavesNothing() {
    String container = sleeping();
    int init = docker.pid(container);
    int keeper = Processes.parent(init);
    docker.say("rm", "--force", container);
    started.remove(container);
    for (int pid : List.of(init, keeper)) {
      Eventually.holds("process " + pid + " is gone", () -> !Processes.alive(pid));
    }
    assertThat(containerd.bundle("moby", container)).doesNotExist();
    assertThat(brig.testing.kernel.Mounts.beneath(containerd.directory()))
        .noneMatch(entry -> entry.point().contains(container));
  }
}
