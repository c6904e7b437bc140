package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.TestContainer;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Mounts;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Limits that few ask for, on a host with cgroup v1; the rest stands in {@link ResourcesTest}. */
@OneContainerd
@OnlyBrig
class ResourceFieldsTest extends ClientTest {

  private static final long MIB = 1 << 20;

  ResourceFieldsTest(Containerd containerd) {
    super(containerd);
  }

  /** Numbers of a disk of this host, as {@code major:minor}. */
  private static String disk() throws IOException {
    try (Stream<Path> disks = Files.list(Path.of("/sys/block"))) {
      Path disk = disks.min((one, other) -> one.compareTo(other)).orElseThrow();
      return Files.readString(disk.resolve("dev")).strip();
    }
  }

  private static ObjectNode device(OciSpec spec, String list, String disk) {
    String[] numbers = disk.split(":");
    return spec.resources()
        .withObject("/blockIO")
        .putArray(list)
        .addObject()
        .put("major", Integer.parseInt(numbers[0]))
        .put("minor", Integer.parseInt(numbers[1]));
  }

  @Test
  void everyMemoryLimitOfV1Stands() {
    OciSpec spec = OciSpec.running("sleep", "600").memoryLimit(64 * MIB);
    spec.resources()
        .withObject("/memory")
        .put("reservation", 32 * MIB)
        .put("swap", 128 * MIB)
        .put("kernelTCP", 8 * MIB)
        .put("swappiness", 13)
        .put("disableOOMKiller", true);
    CgroupsV1 groups = CgroupsV1.of(container(spec).start().pid());
    assertThat(groups.read("memory", "memory.soft_limit_in_bytes")).isEqualTo("" + 32 * MIB);
    assertThat(groups.read("memory", "memory.memsw.limit_in_bytes")).isEqualTo("" + 128 * MIB);
    assertThat(groups.read("memory", "memory.kmem.tcp.limit_in_bytes")).isEqualTo("" + 8 * MIB);
    assertThat(groups.read("memory", "memory.swappiness")).isEqualTo("13");
    assertThat(groups.read("memory", "memory.oom_control")).contains("oom_kill_disable 1");
  }

  @Test
  void everyCpuLimitOfV1Stands() {
    String path = "/" + Names.fresh("brig-it-cpu");
    OciSpec spec = OciSpec.running("sleep", "600").cgroupsPath(path);
    spec.resources()
        .withObject("/cpu")
        .put("quota", 50_000)
        .put("period", 100_000)
        .put("burst", 10_000)
        .put("realtimePeriod", 500_000)
        .put("realtimeRuntime", 5_000)
        .put("idle", 1)
        .put("cpus", "0")
        .put("mems", "0");
    CgroupsV1 groups = CgroupsV1.of(container(spec).start().pid());
    assertThat(groups.read("cpu", "cpu.cfs_burst_us")).isEqualTo("10000");
    assertThat(groups.read("cpu", "cpu.rt_period_us")).isEqualTo("500000");
    assertThat(groups.read("cpu", "cpu.rt_runtime_us")).isEqualTo("5000");
    assertThat(groups.read("cpu", "cpu.idle")).isEqualTo("1");
    assertThat(groups.read("cpuset", "cpuset.cpus")).isEqualTo("0");
    assertThat(groups.read("cpuset", "cpuset.mems")).isEqualTo("0");
  }

  @Test
  void disksAreThrottledAsAsked() throws IOException {
    String disk = disk();
    OciSpec spec = OciSpec.running("sleep", "600");
    device(spec, "throttleReadBpsDevice", disk).put("rate", 10 * MIB);
    device(spec, "throttleWriteBpsDevice", disk).put("rate", 20 * MIB);
    device(spec, "throttleReadIOPSDevice", disk).put("rate", 1000);
    device(spec, "throttleWriteIOPSDevice", disk).put("rate", 2000);
    CgroupsV1 groups = CgroupsV1.of(container(spec).start().pid());
    assertThat(groups.read("blkio", "blkio.throttle.read_bps_device"))
        .isEqualTo(disk + " " + 10 * MIB);
    assertThat(groups.read("blkio", "blkio.throttle.write_bps_device"))
        .isEqualTo(disk + " " + 20 * MIB);
    assertThat(groups.read("blkio", "blkio.throttle.read_iops_device")).isEqualTo(disk + " 1000");
    assertThat(groups.read("blkio", "blkio.throttle.write_iops_device")).isEqualTo(disk + " 2000");
  }

  @Test
  void disksAreSharedByWeight() throws IOException {
    // The weight of one disk is kept by the scheduler of that disk: a loop device that nobody uses.
    Path scheduler = Path.of("/sys/block/loop0/queue/scheduler");
    String before = Files.readString(scheduler).replaceAll("(?s).*\\[(.*)].*", "$1");
    Files.writeString(scheduler, "bfq");
    try {
      String disk = Files.readString(Path.of("/sys/block/loop0/dev")).strip();
      OciSpec spec = OciSpec.running("sleep", "600");
      spec.resources().withObject("/blockIO").put("weight", 300);
      device(spec, "weightDevice", disk).put("weight", 400);
      CgroupsV1 groups = CgroupsV1.of(container(spec).start().pid());
      assertThat(groups.read("blkio", "blkio.bfq.weight")).isEqualTo("300");
      assertThat(groups.read("blkio", "blkio.bfq.weight_device"))
          .isEqualTo("default 300\n" + disk + " 400");
    } finally {
      Files.writeString(scheduler, before);
    }
  }

  @Test
  void hugePagesAndTheSpecificationsOwnFilesReachTheUnifiedTree() throws IOException {
    String path = "/brig-it/" + Names.fresh("huge");
    OciSpec spec = OciSpec.running("sleep", "600").cgroupsPath(path);
    spec.resources()
        .putArray("hugepageLimits")
        .addObject()
        .put("pageSize", "2MB")
        .put("limit", 4 * MIB);
    // Not by JSON pointer: the file's dots are its own.
    spec.resources().putObject("unified").put("hugetlb.1GB.max", "" + 1024 * MIB);
    TestContainer container = container(spec);
    container.start();
    Path group =
        Mounts.here().stream()
            .filter(entry -> entry.type().equals("cgroup2"))
            .map(entry -> Path.of(entry.point() + path))
            .findFirst()
            .orElseThrow();
    assertThat(group.resolve("hugetlb.2MB.max")).hasContent("" + 4 * MIB + "\n");
    assertThat(group.resolve("hugetlb.2MB.rsvd.max")).hasContent("" + 4 * MIB + "\n");
    assertThat(group.resolve("hugetlb.1GB.max")).hasContent("" + 1024 * MIB + "\n");
  }

  @Test
  void aLimitBelowTheUseIsRefusedWhereTheClientAsksForTheCheck() {
    TestContainer container =
        container(
            OciSpec.running(
                    "sh",
                    "-c",
                    "dd if=/dev/zero of=/dev/shm/held bs=1M count=20 2>/dev/null; echo held; sleep 600")
                .memoryLimit(64 * MIB));
    var init = container.start();
    init.stdio().awaitStdout("held");
    String smaller = "\"limit\":" + 8 * MIB;
    assertThat(
            Refusals.words(() ->
                container.update("{\"memory\":{" + smaller + ",\"checkBeforeUpdate\":true}}")))
        .contains("memory.limit", "more than the new limit");
    CgroupsV1 groups = CgroupsV1.of(init.pid());
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("" + 64 * MIB);
    container.update("{\"memory\":{\"limit\":" + 48 * MIB + ",\"checkBeforeUpdate\":true}}");
    assertThat(groups.read("memory", "memory.limit_in_bytes")).isEqualTo("" + 48 * MIB);
  }

  @Test
  void devicesHaveTheNumbersModeAndOwnerAsked() {
    OciSpec spec = OciSpec.running("sleep", "600");
    var devices = spec.linux().putArray("devices");
    devices
        .addObject()
        .put("path", "/dev/of-its-own")
        .put("type", "c")
        .put("major", 1)
        .put("minor", 5)
        .put("fileMode", 0620)
        .put("uid", 1000)
        .put("gid", 50);
    devices
        .addObject()
        .put("path", "/dev/log-of-the-kernel")
        .put("type", "c")
        .put("major", 1)
        .put("minor", 11);
    devices.addObject().put("path", "/dev/pipe").put("type", "p").put("fileMode", 0604);
    var rules = spec.resources().withArray("devices");
    rules
        .addObject()
        .put("allow", true)
        .put("type", "c")
        .put("major", 1)
        .put("minor", 11)
        .put("access", "w");
    TestContainer container = container(spec);
    CgroupsV1 groups = CgroupsV1.of(container.start().pid());
    assertThat(container.ask("stat", "-c", "%F %t:%T %a %u:%g", "/dev/of-its-own", "/dev/pipe"))
        .isEqualTo("character special file 1:5 620 1000:50\nfifo 0:0 604 0:0\n");
    assertThat(container.ask("head", "-c", "3", "/dev/of-its-own")).isEqualTo("\0\0\0");
    // The rule gives writing alone; the capability that reading it needs isn't there either way.
    assertThat(exec(container, "sh", "-c", ": < /dev/log-of-the-kernel").stderr())
        .contains("Operation not permitted");
    assertThat(groups.read("devices", "devices.list").lines())
        .contains("c 1:11 w")
        .doesNotContain("a *:* rwm", "c 1:11 rw", "c 1:11 rwm");
  }

  @Test
  void networkClassesAreRefusedByNameWhereTheHostHasNone() {
    for (String field : List.of("classID", "priorities")) {
      OciSpec spec = OciSpec.running("true");
      ObjectNode network = spec.resources().putObject("network");
      if (field.equals("classID")) {
        network.put("classID", 0x10001);
      } else {
        network.putArray("priorities").addObject().put("name", "lo").put("priority", 3);
      }
      assertThat(Refusals.words(() -> container(spec).create()))
          .contains("linux.resources.network." + field, "net_");
    }
  }
}
