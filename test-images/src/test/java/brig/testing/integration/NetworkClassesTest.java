package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Network classes, whose controllers have stayed on cgroup v1, beside cgroup v2. */
@OnMachine
class NetworkClassesTest extends MachineTest {
  private static final String PLACE = "/run/brig-it-network";

  NetworkClassesTest(Machine machine) {
    super(machine);
  }

  @BeforeEach
  void mountControllers() {
    machine.read(
        "mkdir -p %1$s && mount -t cgroup -o net_cls,net_prio network %1$s".formatted(PLACE));
  }

  @AfterEach
  void unmountControllers() {
    machine.read("umount %1$s && rmdir %1$s".formatted(PLACE));
  }

  private static OciSpec sleeping() {
    OciSpec spec = OciSpec.running("sleep", "600").memoryLimit(64 * MIB);
    return spec.mount("cgroup", "cgroup", "/sys/fs/cgroup", "ro", "nosuid", "noexec", "nodev");
  }

  /** Where a process stands in the hierarchy of the two. */
  private String networkCgroupOf(TestProcess process) {
    return machine.read(
        "sed -n 's/^[0-9]*:net_cls,net_prio://p' /proc/" + process.pid() + "/cgroup");
  }

  @Test
  void classAndPrioritiesAreSetBesideTheLimitsOfV2() {
    OciSpec spec = sleeping();
    ObjectNode network = spec.resources().putObject("network");
    network.put("classID", 0x10001);
    network.putArray("priorities").addObject().put("name", "lo").put("priority", 3);
    TestContainer container = container(spec);
    TestProcess init = start(container);
    assertThat(limits(cgroupOf(init), "memory.max")).isEqualTo(Long.toString(64 * MIB));
    String directory = PLACE + networkCgroupOf(init);
    assertThat(machine.read("cat " + directory + "/net_cls.classid")).isEqualTo("65537");
    assertThat(machine.read("grep '^lo ' " + directory + "/net_prio.ifpriomap")).isEqualTo("lo 3");
    assertThat(exec(container, "test", "-e", "/sys/fs/cgroup/cgroup.controllers").status())
        .as("the container sees its cgroup of v2")
        .isZero();
    init.kill(9, false);
    init.await();
    container.delete();
    assertThat(machine.run("test -e " + directory).exitCode()).isEqualTo(1);
  }

  @Test
  void whoAsksForNoneStandsInNone() {
    TestContainer container = container(sleeping());
    TestProcess init = start(container);
    assertThat(networkCgroupOf(init)).as("its keeper's place").doesNotContain(container.id());
    assertThat(limits(cgroupOf(init), "memory.max")).isEqualTo(Long.toString(64 * MIB));
  }
}
