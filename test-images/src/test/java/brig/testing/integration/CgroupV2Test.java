package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.client.Events;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.proto.metrics.v2.Metrics;
import brig.testing.proto.task.Status;
import brig.testing.spec.OciSpec;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Limits, what is measured, and what happens at a limit, where cgroup v2 is all there is. */
@OnMachine
class CgroupV2Test extends MachineTest {

  CgroupV2Test(Machine machine) {
    super(machine);
  }

  /** A container's cgroup, where the specification says it by a path. */
  private TestContainer container(String path, OciSpec spec) {
    return container(spec.cgroupsPath(path));
  }

  private OciSpec sleeping() {
    return OciSpec.running("sleep", "600");
  }

  @Test
  void limitsStandInTheFiles() {
    TestProcess init = start(container("/brig-test/limits", limited()));
    assertThat(cgroupOf(init)).isEqualTo("/brig-test/limits");
    isLimited("/brig-test/limits");
  }

  @Test
  void updateChangesTheNamedLimitsAndNoOthers() {
    TestContainer container =
        container("/brig-test/update", sleeping().memoryLimit(64 * MIB).pidsLimit(50));
    start(container);
    container.update("{\"memory\":{\"limit\":33554432},\"cpu\":{\"quota\":20000}}");
    assertThat(limits("/brig-test/update", "memory.max", "pids.max", "cpu.max"))
        .isEqualTo("33554432\n50\n20000 100000");
  }

  @Test
  void measurementsAreThoseOfTheFiles() throws InvalidProtocolBufferException {
    TestContainer container =
        container(
            "/brig-test/stats",
            OciSpec.running("sh", "-c", "dd if=/dev/zero of=/file bs=1M count=8; sleep 600")
                .memoryLimit(64 * MIB)
                .pidsLimit(77));
    start(container);
    exec(container, "sh", "-c", "until [ $(stat -c %s /file) = 8388608 ]; do :; done");
    Metrics metrics = metricsOf(container);
    // The shell may become the sleep itself.
    assertThat(metrics.getPids().getCurrent()).isBetween(1L, 2L);
    assertThat(metrics.getPids().getLimit()).isEqualTo(77);
    assertThat(metrics.getMemory().getUsageLimit()).isEqualTo(64 * MIB);
    assertThat(metrics.getMemory().getUsage()).isGreaterThanOrEqualTo(8 * MIB);
    assertThat(metrics.getMemory().getFile()).isGreaterThanOrEqualTo(8 * MIB);
    assertThat(metrics.getMemory().getPgfault()).isPositive();
    assertThat(metrics.getCpu().getUsageUsec()).isPositive();
    assertThat(metrics.getCpu().getUserUsec() + metrics.getCpu().getSystemUsec()).isPositive();
  }

  @Test
  void aPausedContainerIsKilledAllTheSame() {
    TestContainer container = container("/brig-test/frozen", sleeping());
    TestProcess init = start(container);
    container.pause();
    init.kill(9, true);
    assertThat(init.await().status()).isEqualTo(137);
  }

  private static Metrics metricsOf(TestContainer container) throws InvalidProtocolBufferException {
    List<Any> all = container.metrics();
    assertThat(all).hasSize(1);
    assertThat(all.getFirst().getTypeUrl()).isEqualTo("io.containerd.cgroups.v2.Metrics");
    return Metrics.parseFrom(all.getFirst().getValue());
  }

  @Test
  void aPausedContainerIsFrozenWithAllItsProcesses() {
    TestContainer container = container("/brig-test/pause", sleeping());
    start(container);
    TestProcess exec =
        container
            .exec(machine.freshId(), container.spec().execProcess("sleep", "500"), Stdio.none())
            .start();
    assertThat(cgroupOf(exec)).isEqualTo("/brig-test/pause");
    container.pause();
    assertThat(container.status()).isEqualTo(Status.PAUSED);
    assertThat(limits("/brig-test/pause", "cgroup.events")).contains("frozen 1");
    container.resume();
    assertThat(limits("/brig-test/pause", "cgroup.events")).contains("frozen 0");
    exec.kill(9, false);
    assertThat(exec.await().status()).isEqualTo(137);
  }

  @Test
  void outOfMemoryIsToldBeforeTheExit() {
    Events events = keep(client.events());
    TestContainer container =
        container(
            "/brig-test/oom", OciSpec.running("brig-probe", "eat", "256").memoryLimit(16 * MIB));
    assertThat(start(container).await().status()).isEqualTo(137);
    List<String> topics =
        events.until(container.id(), "/tasks/exit").stream().map(Events.Event::topic).toList();
    assertThat(topics).contains("/tasks/oom").endsWith("/tasks/exit");
  }

  @Test
  void theDeviceRulesHoldForInitAndExec() {
    OciSpec spec = sleeping();
    spec.linux()
        .putArray("devices")
        .addObject()
        .put("path", "/dev/fuse")
        .put("type", "c")
        .put("major", 10)
        .put("minor", 229)
        .put("fileMode", 0666);
    TestContainer denied = container("/brig-test/denied", spec);
    start(denied);
    assertThat(exec(denied, "dd", "if=/dev/zero", "of=/dev/null", "count=1").status()).isZero();
    assertThat(exec(denied, "sh", "-c", "exec 3</dev/fuse").status()).isNotZero();
    spec.resources()
        .withArray("devices")
        .addObject()
        .put("allow", true)
        .put("type", "c")
        .put("major", 10)
        .put("minor", 229)
        .put("access", "rwm");
    TestContainer allowed = container("/brig-test/allowed", spec);
    start(allowed);
    assertThat(exec(allowed, "sh", "-c", "exec 3</dev/fuse").status()).isZero();
  }

  @Test
  void nothingIsLeftOfADeletedContainer() {
    TestContainer container = container("/brig-test/gone", sleeping());
    TestProcess init = start(container);
    exec(container, "sh", "-c", "sleep 500 >/dev/null 2>&1 &");
    init.kill(9, false);
    init.await();
    container.delete();
    assertThat(machine.run("test -e /sys/fs/cgroup/brig-test/gone").exitCode()).isEqualTo(1);
    assertThat(machine.run("grep -l 'sleep.500' /proc/[0-9]*/cmdline").stdout()).isEmpty();
  }
}
