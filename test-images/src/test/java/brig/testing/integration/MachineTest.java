package brig.testing.integration;

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
