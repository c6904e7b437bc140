package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Mounts;
import brig.testing.proto.cri.ContainerStats;
import brig.testing.proto.cri.LinuxPodSandboxStats;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What kubelet is told of the use of pods and containers: what the kernel itself has booked. */
@EachContainerd
class PodStatsTest extends CriTest {

  private static final long MIB = 1 << 20;
  private static final long HELD = 32 * MIB;
  private static final long TENTH_OF_A_SECOND = 100_000_000;

  PodStatsTest(Containerd containerd) {
    super(containerd);
  }

  /** One that holds memory, has used a processor, and does nothing any more. */
  private static PodContainer used(Pod pod) {
    PodContainer container =
        pod.start(
            "sh",
            "-c",
            "head -c %d /dev/zero > /dev/shm/held; i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; echo done; exec sleep 600"
                .formatted(HELD));
    container.awaitLog("done");
    return container;
  }

  @Test
  void aContainersUseIsTheKernels() {
    PodContainer container = used(pod());
    CgroupsV1 groups = CgroupsV1.of(container.proc().pid());
    long before = groups.number("cpuacct", "cpuacct.usage");
    ContainerStats stats = container.stats();
    long after = groups.number("cpuacct", "cpuacct.usage");
    assertThat(stats.getAttributes().getId()).isEqualTo(container.id());
    assertThat(before).isGreaterThan(TENTH_OF_A_SECOND);
    assertThat(stats.getCpu().getUsageCoreNanoSeconds().getValue()).isBetween(before, after);
    assertThat(stats.getMemory().getWorkingSetBytes().getValue()).isBetween(HELD, HELD + 16 * MIB);
  }

  @Test
  void aPodsUseIsThatOfItsContainersAndTheKernels() {
    String parent = "/brig-it/" + Names.fresh("pod");
    keep(() -> removeGroups(parent));
    Pod pod = pod(config -> config.getLinuxBuilder().setCgroupParent(parent));
    PodContainer container = used(pod);
    PodContainer idle = pod.sleeping();
    long before = used(parent);
    LinuxPodSandboxStats stats = pod.stats();
    long after = used(parent);
    assertThat(before).isGreaterThan(TENTH_OF_A_SECOND);
    assertThat(stats.getCpu().getUsageCoreNanoSeconds().getValue()).isBetween(before, after);
    assertThat(stats.getMemory().getWorkingSetBytes().getValue()).isBetween(HELD, HELD + 32 * MIB);
    assertThat(stats.getContainersList().stream().map(each -> each.getAttributes().getId()))
        .containsExactlyInAnyOrder(container.id(), idle.id());
    for (ContainerStats each : stats.getContainersList()) {
      boolean holds = each.getAttributes().getId().equals(container.id());
      assertThat(each.getCpu().getUsageCoreNanoSeconds().getValue()).isPositive();
      assertThat(each.getMemory().getWorkingSetBytes().getValue() >= HELD).isEqualTo(holds);
    }
    assertThat(stats.getNetwork().getDefaultInterface().getName()).isEqualTo("eth0");
  }

  /** Processor time of a group and all beneath it. */
  private static long used(String group) {
    Path directory = CgroupsV1.mountPoint("cpuacct").resolve(group.substring(1));
    return CgroupsV1.number(directory.resolve("cpuacct.usage"));
  }

  private static void removeGroups(String path) {
    List<Path> groups =
        Mounts.here().stream()
            .filter(mount -> mount.type().startsWith("cgroup"))
            .map(mount -> Path.of(mount.point() + path))
            .filter(Files::isDirectory)
            .toList();
    groups.forEach(group -> Command.of("rmdir", group.toString()).run().orFail());
  }
}
