package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.client.ContainerdClient;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.spec.OciSpec;

/** A test on the test machine: a client of its containerd here, a shell there. */
abstract class MachineTest extends TidyTest {

  static final long MIB = 1 << 20;

  final Machine machine;
  final ContainerdClient client;

  MachineTest(Machine machine) {
    this.machine = machine;
    this.client = keep(machine.client());
  }

  final TestContainer container(OciSpec spec) {
    return keep(client.container(machine.freshId(), spec));
  }

  /** A sleeping process under every limit that both ways to a cgroup know. */
  static OciSpec limited() {
    OciSpec spec = OciSpec.running("sleep", "600").memoryLimit(64 * MIB).pidsLimit(50);
    spec.resources().withObject("/memory").put("swap", 96 * MIB).put("reservation", 32 * MIB);
    // No multiple of what systemd rounds quotas to.
    spec.resources()
        .withObject("/cpu")
        .put("shares", 512)
        .put("quota", 12_345)
        .put("period", 50_000)
        .put("cpus", "0-1");
    spec.resources().withObject("/unified").put("memory.high", Long.toString(60 * MIB));
    return spec;
  }

  /** The files of a cgroup hold exactly what {@link #limited()} asks for. */
  final void isLimited(String cgroup) {
    assertThat(
            limits(
                cgroup,
                "memory.max",
                "memory.swap.max",
                "memory.low",
                "memory.high",
                "pids.max",
                "cpu.weight",
                "cpu.max",
                "cpuset.cpus"))
        .isEqualTo(
            String.join(
                "\n",
                Long.toString(64 * MIB),
                Long.toString(32 * MIB),
                Long.toString(32 * MIB),
                Long.toString(60 * MIB),
                "50",
                // Of 512 shares, on the curve that keeps 1024 at the default of 100.
                "59",
                "12345 50000",
                "0-1"));
  }

  /** Started, with nothing on its streams. */
  final TestProcess start(TestContainer container) {
    return container.start(Stdio.none());
  }

  /** Runs a command in the container to its end. */
  final Exit exec(TestContainer container, String... command) {
    TestProcess process =
        container.exec(machine.freshId(), container.spec().execProcess(command), Stdio.none());
    Exit exit = process.start().await();
    process.delete();
    return exit;
  }

  /** Where a process stands in the tree of cgroup v2. */
  final String cgroupOf(TestProcess process) {
    return machine.read("sed -n 's/^0:://p' /proc/" + process.pid() + "/cgroup");
  }

  /** Files of a cgroup, one line each. */
  final String limits(String cgroup, String... files) {
    return machine.read("cd /sys/fs/cgroup" + cgroup + " && cat " + String.join(" ", files));
  }
}
