package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.cri.PodContainer.LogLine;
import brig.testing.cri.PodContainer.Ran;
import brig.testing.kernel.CgroupsV1;
import brig.testing.proto.cri.ContainerState;
import brig.testing.proto.cri.ContainerStatus;
import brig.testing.proto.cri.LinuxContainerResources;
import io.grpc.Status.Code;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** A container's life as kubelet sees and steers it: logs, exec, ends, limits. */
@EachContainerd
class PodLifecycleTest extends CriTest {

  private static final long MIB = 1 << 20;

  PodLifecycleTest(Containerd containerd) {
    super(containerd);
  }

  private static PodContainer shell(Pod pod, String script) {
    return pod.start("sh", "-c", script);
  }

  @Test
  void theExitCodeIsTold() {
    Pod pod = pod();
    ContainerStatus failed = shell(pod, "exit 23").ended();
    assertThat(failed.getExitCode()).isEqualTo(23);
    assertThat(failed.getReason()).isEqualTo("Error");
    assertThat(failed.getStartedAt()).isPositive();
    assertThat(failed.getFinishedAt()).isGreaterThan(failed.getCreatedAt());
    ContainerStatus completed = shell(pod, "true").ended();
    assertThat(completed.getExitCode()).isZero();
    assertThat(completed.getReason()).isEqualTo("Completed");
  }

  @Test
  void outOfMemoryIsTheReason() {
    PodContainer container =
        pod()
            .start(config -> {
              config.addAllCommand(List.of("brig-probe", "eat", "256"));
              config.getLinuxBuilder().getResourcesBuilder().setMemoryLimitInBytes(24 * MIB);
            });
    ContainerStatus status = container.ended();
    assertThat(status.getExitCode()).isEqualTo(137);
    assertThat(status.getReason()).isEqualTo("OOMKilled");
  }

  @Test
  void logsHaveStreamAndCompleteness() {
    PodContainer container =
        shell(
            pod(),
            "echo out; echo err >&2; head -c 20000 /dev/zero | tr '\\0' x; echo; printf open");
    container.ended();
    Eventually.holds(
        "the last line is written",
        () -> container.log().stream().anyMatch(line -> line.text().equals("open")),
        container::log);
    List<LogLine> log = container.log();
    assertThat(log)
        .contains(new LogLine("stdout", true, "out"), new LogLine("stderr", true, "err"));
    List<LogLine> xs = log.stream().filter(line -> line.text().startsWith("x")).toList();
    // CRI cuts at 16 KiB: a part, then the rest that ends the line.
    assertThat(xs).hasSizeGreaterThanOrEqualTo(2);
    assertThat(xs.stream().mapToInt(line -> line.text().length()).sum()).isEqualTo(20_000);
    assertThat(xs.getLast().whole()).isTrue();
    assertThat(xs.subList(0, xs.size() - 1)).noneMatch(LogLine::whole);
  }

  @Test
  void aTerminalsLogIsItsStdout() {
    PodContainer container =
        pod()
            .start(config -> {
              config.addAllCommand(List.of("sh", "-c", "tty; echo err >&2; sleep 600"));
              config.setTty(true);
            });
    container.awaitLog("/dev/pts/0");
    container.awaitLog("err");
    assertThat(container.log()).allMatch(line -> line.stream().equals("stdout"));
  }

  @Test
  void execGivesOutputsAndExitCode() {
    PodContainer container = pod().sleeping();
    assertThat(container.exec("sh", "-c", "echo out; echo err >&2; exit 7"))
        .isEqualTo(new Ran(7, "out\n", "err\n"));
    assertThat(container.exec("sh", "-c", "kill -9 $$").status()).isEqualTo(137);
    assertThat(container.exec("sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x").stdout())
        .hasSize(3_000_000);
  }

  @Test
  void anExecOfNothingIsAnErrorThatNamesIt() {
    PodContainer container = pod().sleeping();
    assertThat(Refusals.words(() -> container.exec("/no/such/program")))
        .contains("/no/such/program")
        .contains("no such file or directory");
    assertThat(container.sh("echo unharmed")).isEqualTo("unharmed");
  }

  @Test
  void anExecThatTakesTooLongIsEnded() {
    PodContainer container = pod().sleeping();
    Refusals.with(Code.DEADLINE_EXCEEDED, () -> container.exec(1, "sleep", "603"));
    Eventually.holds(
        "its process is gone", () -> !container.sh("ps -o args").contains("sleep 603"));
    assertThat(container.sh("echo unharmed")).isEqualTo("unharmed");
  }

  @Test
  void stopSendsTermAndWaits() {
    PodContainer container =
        shell(pod(), "trap 'echo leaving; exit 3' TERM; echo ready; while :; do sleep 0.1; done");
    container.awaitLog("ready");
    container.stop(60);
    assertThat(container.status().getState()).isEqualTo(ContainerState.CONTAINER_EXITED);
    assertThat(container.status().getExitCode()).isEqualTo(3);
    container.awaitLog("leaving");
  }

  @Test
  void whoIgnoresTermIsKilledAfterTheGrace() {
    PodContainer container = shell(pod(), "trap '' TERM; echo ready; while :; do sleep 0.1; done");
    container.awaitLog("ready");
    long before = System.nanoTime();
    container.stop(1);
    assertThat(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before)).isGreaterThan(900);
    assertThat(container.status().getExitCode()).isEqualTo(137);
  }

  @Test
  void aRunningContainerIsRemovedByForce() {
    Pod pod = pod();
    PodContainer container = pod.sleeping();
    var init = container.proc();
    container.remove();
    assertThat(brig.testing.kernel.Processes.alive(init.pid())).isFalse();
    assertThat(pod.containers()).isEmpty();
  }

  @Test
  void aCreatedContainerIsRemovedUnstarted() {
    Pod pod = pod();
    PodContainer container = pod.create("true");
    assertThat(container.status().getState()).isEqualTo(ContainerState.CONTAINER_CREATED);
    container.remove();
    assertThat(pod.containers()).isEmpty();
  }

  @Test
  void aMissingProgramFailsTheStartByName() {
    Pod pod = pod();
    PodContainer container = pod.create("/no/such/program");
    assertThat(Refusals.words(container::start))
        .contains("/no/such/program")
        .contains("no such file or directory");
    assertThat(container.status().getState()).isEqualTo(ContainerState.CONTAINER_EXITED);
    assertThat(container.status().getReason()).isEqualTo("StartError");
    assertThat(container.status().getExitCode()).isEqualTo(128);
    assertThat(pod.sleeping().sh("echo unharmed")).isEqualTo("unharmed");
  }

  @Test
  void limitsStandInTheCgroupsAndAreUpdated() {
    PodContainer container =
        pod()
            .start(config -> {
              config.addAllCommand(List.of("sleep", "600"));
              config
                  .getLinuxBuilder()
                  .getResourcesBuilder()
                  .setMemoryLimitInBytes(64 * MIB)
                  .setCpuQuota(50_000)
                  .setCpuPeriod(100_000)
                  .setCpuShares(512);
            });
    CgroupsV1 groups = CgroupsV1.of(container.proc().pid());
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("" + 64 * MIB);
    assertThat(groups.read("cpu", "cpu.cfs_quota_us")).isEqualTo("50000");
    container.update(
        LinuxContainerResources.newBuilder()
            .setMemoryLimitInBytes(96 * MIB)
            .setCpuQuota(20_000)
            .setCpuPeriod(100_000)
            .setCpuShares(256)
            .setCpusetCpus("0")
            .build());
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("" + 96 * MIB);
    assertThat(groups.read("cpu", "cpu.cfs_quota_us")).isEqualTo("20000");
    assertThat(groups.read("cpu", "cpu.shares")).isEqualTo("256");
    assertThat(groups.read("cpuset", "cpuset.cpus")).isEqualTo("0");
  }

  @Test
  void workingDirectoryAndEnvironmentAreTheOnesAskedFor() {
    PodContainer container =
        pod()
            .start(config -> {
              config.addAllCommand(List.of("sh", "-c", "pwd; echo $GREETING; sleep 600"));
              config.setWorkingDir("/data/user");
              config.addEnvsBuilder().setKey("GREETING").setValue("hello from kubelet");
            });
    container.awaitLog("/data/user");
    container.awaitLog("hello from kubelet");
    assertThat(container.sh("pwd")).isEqualTo("/data/user");
  }
}
