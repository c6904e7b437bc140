package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Events;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.proto.metrics.v1.Metrics;
import brig.testing.spec.OciSpec;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Limits, what is measured, and what happens at a limit; on a host with cgroup v1. */
@EachContainerd
class ResourcesTest extends ClientTest {

  private static final long MIB = 1 << 20;

  ResourcesTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void limitsStandInTheCgroups() {
    OciSpec spec = OciSpec.running("sleep", "600").memoryLimit(64 * MIB).pidsLimit(50);
    spec.resources()
        .withObject("/cpu")
        .put("shares", 512)
        .put("quota", 50_000)
        .put("period", 100_000);
    spec.resources().withObject("/cpu").put("cpus", "0");
    TestContainer container = container(spec);
    CgroupsV1 groups = CgroupsV1.of(container.start().pid());
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo(Long.toString(64 * MIB));
    assertThat(groups.read("pids", "pids.max")).isEqualTo("50");
    assertThat(groups.read("cpu", "cpu.shares")).isEqualTo("512");
    assertThat(groups.read("cpu", "cpu.cfs_quota_us")).isEqualTo("50000");
    assertThat(groups.read("cpu", "cpu.cfs_period_us")).isEqualTo("100000");
    assertThat(groups.read("cpuset", "cpuset.cpus")).isEqualTo("0");
  }

  @Test
  void theCgroupsPathIsTheOneAskedFor() {
    String path = "/brig-it/" + brig.testing.Names.fresh("group");
    TestContainer container = container(OciSpec.running("sleep", "600").cgroupsPath(path));
    assertThat(container.start().proc().cgroups())
        .containsEntry("memory", path)
        .containsEntry("pids", path)
        .containsEntry("devices", path)
        .containsEntry("freezer", path);
  }

  @Test
  void updateChangesTheNamedLimitsAndNoOthers() {
    TestContainer container =
        container(OciSpec.running("sleep", "600").memoryLimit(64 * MIB).pidsLimit(50));
    CgroupsV1 groups = CgroupsV1.of(container.start().pid());
    container.update("{\"memory\":{\"limit\":33554432},\"cpu\":{\"shares\":256}}");
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo(Long.toString(32 * MIB));
    assertThat(groups.read("cpu", "cpu.shares")).isEqualTo("256");
    assertThat(groups.read("pids", "pids.max")).isEqualTo("50");
    container.update("{\"pids\":{\"limit\":20}}");
    assertThat(groups.read("pids", "pids.max")).isEqualTo("20");
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo(Long.toString(32 * MIB));
  }

  @Test
  void anUpdateThatTheKernelRefusesIsToldWithItsFile() {
    TestContainer container = sleeping();
    container.start();
    assertThat(Refusals.words(() -> container.update("{\"cpu\":{\"cpus\":\"900\"}}")))
        .contains("cpuset.cpus");
    assertThat(exec(container, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
  }

  @Test
  void measurementsAreFilled() throws InvalidProtocolBufferException {
    TestContainer container =
        container(
            OciSpec.running(
                    "sh",
                    "-c",
                    "dd if=/dev/zero of=/file bs=1M count=8 2>/dev/null; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; sleep 600")
                .memoryLimit(128 * MIB)
                .pidsLimit(77));
    TestProcess init = container.start();
    init.stdio().awaitStdout("done");
    CgroupsV1 groups = CgroupsV1.of(init.pid());
    long usedBefore = groups.number("cpuacct", "cpuacct.usage");
    long mostBefore = groups.number("memory", "memory.max_usage_in_bytes");
    Metrics metrics = metricsOf(container);
    long usedAfter = groups.number("cpuacct", "cpuacct.usage");
    long mostAfter = groups.number("memory", "memory.max_usage_in_bytes");
    assertThat(metrics.getPids().getCurrent()).isBetween(1L, 2L);
    assertThat(metrics.getPids().getLimit()).isEqualTo(77);
    assertThat(metrics.getCpu().getUsage().getTotal()).isBetween(usedBefore, usedAfter);
    assertThat(usedBefore).isPositive();
    assertThat(metrics.getCpu().getUsage().getUser() + metrics.getCpu().getUsage().getKernel())
        .isPositive();
    assertThat(metrics.getCpu().getUsage().getPerCpuList())
        .hasSize(Runtime.getRuntime().availableProcessors());
    assertThat(metrics.getMemory().getUsage().getLimit()).isEqualTo(128 * MIB);
    assertThat(metrics.getMemory().getUsage().getUsage()).isPositive();
    assertThat(metrics.getMemory().getUsage().getMax()).isBetween(mostBefore, mostAfter);
    // The file's pages are the container's.
    assertThat(metrics.getMemory().getTotalCache()).isGreaterThanOrEqualTo(8 * MIB);
    assertThat(metrics.getMemory().getHierarchicalMemoryLimit()).isEqualTo(128 * MIB);
    assertThat(metrics.getMemory().getPgFault()).isPositive();
  }

  @Test
  void noLimitIsTheGreatestNumberAndNotZero() throws InvalidProtocolBufferException {
    TestContainer container = sleeping();
    container.start();
    Metrics metrics = metricsOf(container);
    // Readers take anything beyond 2^62 for no limit, and a zero for one.
    assertThat(Long.compareUnsigned(metrics.getMemory().getUsage().getLimit(), 1L << 62))
        .isPositive();
  }

  private static Metrics metricsOf(TestContainer container) throws InvalidProtocolBufferException {
    List<Any> all = container.metrics();
    assertThat(all).hasSize(1);
    assertThat(all.getFirst().getTypeUrl()).isEqualTo("io.containerd.cgroups.v1.Metrics");
    return Metrics.parseFrom(all.getFirst().getValue());
  }

  // The runc shim measures for as long as the cgroups stand.
  @Test
  @OnlyBrig
  void aStoppedContainerHasNoMeasurements() {
    TestContainer container = container("true");
    container.start().await();
    assertThat(container.metrics()).isEmpty();
  }

  @Test
  void outOfMemoryIsToldBeforeTheExit() {
    Events events = keep(client.events());
    TestContainer container =
        container(OciSpec.running("brig-probe", "eat", "256").memoryLimit(16 * MIB));
    TestProcess init = container.start();
    assertThat(init.await().status()).isEqualTo(137);
    List<String> topics =
        events.until(container.id(), "/tasks/exit").stream().map(Events.Event::topic).toList();
    assertThat(topics).contains("/tasks/oom").endsWith("/tasks/exit");
  }

  @Test
  void anExecThatRunsOutOfMemoryIsTold() {
    Events events = keep(client.events());
    TestContainer container = container(OciSpec.running("sleep", "600").memoryLimit(32 * MIB));
    container.start();
    assertThat(exec(container, "brig-probe", "eat", "256").status()).isEqualTo(137);
    events.until(container.id(), "/tasks/oom");
    assertThat(exec(container, "echo", "init lives").stdout()).isEqualTo("init lives\n");
  }

  @Test
  void theProcessLimitHolds() {
    TestContainer container = container(OciSpec.running("sleep", "600").pidsLimit(10));
    container.start();
    Ran ran =
        exec(
            container, "sh", "-c", "i=0; while [ $i -lt 30 ]; do sleep 5 & i=$((i+1)); done; wait");
    assertThat(ran.stderr()).containsIgnoringCase("can't fork");
  }

  @Test
  void theCpuQuotaThrottles() throws InvalidProtocolBufferException {
    OciSpec spec = OciSpec.running("sh", "-c", "while :; do :; done");
    spec.resources().withObject("/cpu").put("quota", 10_000).put("period", 100_000);
    TestContainer container = container(spec);
    container.start();
    Eventually.holds("it was throttled", () -> throttled(container) > 0);
  }

  private static long throttled(TestContainer container) {
    try {
      return metricsOf(container).getCpu().getThrottling().getThrottledPeriods();
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException(e);
    }
  }
}
