package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command.Result;
import brig.testing.Containerd;
import brig.testing.Docker;
import brig.testing.Eventually;
import brig.testing.Images;
import brig.testing.Names;
import brig.testing.kernel.Proc;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/** What {@code docker run} and its relatives offer: granted, or refused with its reason. */
@Tag("integration")
@ParameterizedClass(name = "containerd {0}", autoCloseArguments = false)
@ArgumentsSource(RunningContainerds.EachDocker.class)
class DockerOptionsTest extends TidyTest {

  private final Docker docker;
  private final Containerd containerd;

  DockerOptionsTest(Docker docker) {
    this.docker = docker;
    this.containerd = docker.containerd();
  }

  private String start(String... arguments) {
    String id = docker.start(arguments);
    keep(() -> docker.docker("rm", "--force", "--volumes", id).run().orFail());
    return id;
  }

  /** A container that waits to be looked at. */
  private String sleeping(String... options) {
    List<String> line = new ArrayList<>(List.of(options));
    line.addAll(List.of(Images.BUSYBOX, "sleep", "600"));
    return start(line.toArray(String[]::new));
  }

  /** A shell's script in a container with these options. */
  private Result shell(String script, String... options) {
    List<String> line = new ArrayList<>(List.of("--rm"));
    line.addAll(List.of(options));
    line.addAll(List.of(Images.BUSYBOX, "sh", "-c", script));
    return docker.run(line.toArray(String[]::new)).run();
  }

  private String inspect(String container, String format) {
    return docker.say("inspect", "--format", format, container);
  }

  @Test
  void containersOutliveAKilledDaemonWithTheirOutput() {
    String container =
        start(
            Images.BUSYBOX,
            "sh",
            "-c",
            "echo before; until [ -e /tmp/go ]; do usleep 10000; done; echo after; exec sleep 600");
    int pid = docker.pid(container);
    docker.killAndStartAgain();
    assertThat(docker.pid(container)).isEqualTo(pid);
    docker.say("exec", container, "touch", "/tmp/go");
    Eventually.holds(
        "what is written after the restart is logged",
        () -> docker.say("logs", container).equals("before\nafter"),
        () -> docker.say("logs", container));
    docker.say("kill", container);
    assertThat(docker.say("wait", container)).isEqualTo("137");
  }

  @Test
  void initReapsAndPassesSignalsOn() {
    String container =
        start("--init", Images.BUSYBOX, "sh", "-c", "(sleep 0.1 &) ; exec sleep 600");
    assertThat(new Proc(docker.pid(container)).status("Name")).isEqualTo("docker-init");
    Eventually.holds(
        "no orphan and no zombie is left",
        () -> docker.say("exec", container, "ps", "-o", "stat,args").lines().count() == 4,
        () -> docker.say("exec", container, "ps", "-o", "stat,args"));
    docker.say("stop", "--time", "30", container);
    assertThat(inspect(container, "{{.State.ExitCode}}")).isEqualTo("143");
  }

  @Test
  void healthIsFoundAndAFailedContainerStartedAgain() {
    String healthy = sleeping("--health-cmd", "test -e /tmp/healthy", "--health-interval", "100ms");
    docker.say("exec", healthy, "touch", "/tmp/healthy");
    Eventually.holds(
        "it is healthy", () -> inspect(healthy, "{{.State.Health.Status}}").equals("healthy"));
    String failing =
        start("--restart", "on-failure:2", Images.BUSYBOX, "sh", "-c", "echo failed; exit 3");
    Eventually.holds(
        "it has been started twice more",
        () -> inspect(failing, "{{.RestartCount}} {{.State.Status}}").equals("2 exited"));
    assertThat(docker.say("logs", failing)).isEqualTo("failed\nfailed\nfailed");
  }

  @Test
  @OnlyBrig
  void anImageIsBuiltBehindTheWall() throws IOException {
    Path context = Files.createDirectory(containerd.directory().resolve(Names.fresh("context")));
    Files.writeString(context.resolve("file"), "copied\n");
    Files.writeString(
        context.resolve("Dockerfile"),
        """
        FROM %s
        RUN cut -c 1- /proc/self/uid_map > /map; mkdir /made; chown 1000:50 /made; chmod 2750 /made
        COPY --chown=1000:1000 file /made/file
        USER 1000
        CMD id -u; stat -c '%%a %%u:%%g' /made; cat /made/file /map
        """
            .formatted(Images.BUSYBOX));
    String image = "brig.test/" + Names.fresh("built");
    // BuildKit calls runc by itself, whatever the daemon's runtimes are.
    docker
        .docker("build", "--quiet", "--tag", image, context.toString())
        .environment(java.util.Map.of("DOCKER_BUILDKIT", "0"))
        .run()
        .orFail();
    keep(() -> docker.say("rmi", image));
    List<String> said = docker.run("--rm", image).run().orFail().stdout().lines().toList();
    assertThat(said.subList(0, 3)).containsExactly("1000", "2750 1000:50", "copied");
    assertThat(Long.parseLong(said.get(3).strip().split("\\s+")[1])).isGreaterThan(65_535);
  }

  @Test
  void volumesAreFilledFromTheImageUnlessAskedNot() {
    String filled = Names.fresh("volume");
    String empty = Names.fresh("volume");
    keep(() -> docker.say("volume", "rm", filled, empty));
    String look = "ls /data; stat -c %u:%g /data/user/file";
    assertThat(shell(look, "--volume", filled + ":/data").stdout())
        .isEqualTo("nobody\nuser\n1000:1000\n");
    assertThat(shell(look, "--volume", empty + ":/data:nocopy").stdout()).isEmpty();
  }

  @Test
  void namespacesOfAnotherContainerAreJoined() {
    String first = sleeping("--ipc", "shareable", "--network", "none");
    docker.say("exec", first, "sh", "-c", "echo shared > /dev/shm/x");
    assertThat(shell("cat /dev/shm/x", "--ipc", "container:" + first).stdout())
        .isEqualTo("shared\n");
    Proc init = new Proc(docker.pid(first));
    Proc joined = new Proc(docker.pid(sleeping("--network", "container:" + first)));
    assertThat(joined.namespace("net")).isEqualTo(init.namespace("net"));
    assertThat(joined.namespace("user")).isNotEqualTo(init.namespace("user"));
  }

  @Test
  void kernelSettingsDevicesLimitsAndTmpfsAreAsAsked() {
    assertThat(
            shell(
                    "cat /proc/sys/net/core/somaxconn /proc/sys/kernel/shmmax; ulimit -n; ulimit -Hn;"
                        + " stat -c '%t:%T' /dev/mine; stat -c '%a %u' /scratch; touch /x",
                    "--network",
                    "none",
                    "--sysctl",
                    "net.core.somaxconn=99",
                    "--sysctl",
                    "kernel.shmmax=12345",
                    "--ulimit",
                    "nofile=100:200",
                    "--device",
                    "/dev/null:/dev/mine:r",
                    "--tmpfs",
                    "/scratch:mode=1700,uid=1000",
                    "--read-only")
                .stdout())
        .isEqualTo("99\n12345\n100\n200\n1:3\n1700 1000\n");
  }

  @Test
  @OnlyBrig
  void capabilitiesReachTheContainersOwnThingsOnly() {
    assertThat(shell("mount -t tmpfs none /mnt && echo mounted", "--cap-add", "SYS_ADMIN").stdout())
        .isEqualTo("mounted\n");
    assertThat(shell("date -s @0", "--cap-add", "SYS_TIME").stderr()).contains("not permitted");
    assertThat(
            shell("grep CapEff /proc/self/status", "--cap-drop", "ALL", "--cap-add", "CHOWN")
                .stdout())
        .matches("CapEff:\\s+0000000000000001\n");
    String container = sleeping();
    // An exec has no more than its container.
    assertThat(docker.say("exec", "--privileged", container, "grep", "CapEff", "/proc/self/status"))
        .matches("CapEff:\\s+00000000a80425fb");
  }

  @Test
  @OnlyBrig
  void whatIsRefusedSaysItsStepItsObjectAndTheWayOut() {
    assertThat(shell("true", "--user", "70000").stderr())
        .contains("process.user.uid", "70000 is not mapped", "extra_ids in [ids] of brig.toml");
    Result unconfined = shell("unshare -U true", "--security-opt", "seccomp=unconfined");
    assertThat(unconfined.stderr()).contains("not permitted");
    assertThat(shell("true", "--ulimit", "nofile=1:1000000000").stderr())
        .contains("set limit", "1000000000", "not permitted");
  }
}
