package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.spec.OciSpec;
import org.junit.jupiter.api.Test;

/** What lives beyond containerd's unit stands outside of its cgroup. */
@OnMachine
class PlacementTest extends MachineTest {

  PlacementTest(Machine machine) {
    super(machine);
  }

  @Test
  void aContainerOutlivesAStopOfContainerdsUnit() {
    TestContainer container = container(OciSpec.running("sleep", "600"));
    TestProcess init = start(container);
    // The unit's KillMode is control-group here: systemd kills whatever stands in it.
    assertThat(machine.read("systemctl show -P KillMode containerd")).isEqualTo("control-group");
    assertThat(machine.read("systemctl stop containerd; systemctl is-active containerd || true"))
        .isEqualTo("inactive");
    assertThat(machine.read("cat /proc/" + init.pid() + "/comm")).isEqualTo("sleep");
    machine.read("systemctl start containerd");
    assertThat(exec(container, "true").status()).isZero();
    init.kill(9, false);
    assertThat(init.await().status()).isEqualTo(137);
  }

  @Test
  void keepersAndTheDaemonStandInASliceOfTheirOwn() {
    start(container(OciSpec.running("sleep", "600")));
    assertThat(machine.read("cat /sys/fs/cgroup/brig.slice/keepers/cgroup.procs")).isNotEmpty();
    assertThat(
            machine.read(
                "for pid in $(cat /sys/fs/cgroup/brig.slice/brigd/cgroup.procs); do readlink /proc/$pid/exe; done"))
        .endsWith("/java");
    assertThat(
            machine.read(
                "for pid in $(cat /sys/fs/cgroup/system.slice/containerd.service/cgroup.procs); do cat /proc/$pid/comm; done"))
        .isEqualTo("containerd");
  }
}
