package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.FileContent;
import brig.proto.plan.CgroupDir;
import com.google.protobuf.ByteString;
import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** File contents as kernels 6.12 and 6.18 wrote them. */
final class StatsTest {
  private static final List<CgroupDir> V1 =
      List.of(
          dir("/c/cpu,cpuacct", "cpu,cpuacct", false),
          dir("/c/memory", "memory", false),
          dir("/c/pids", "pids", false),
          dir("/c/blkio", "blkio", false),
          dir("/c/hugetlb", "hugetlb", false),
          dir("/c/rdma", "rdma", false));

  private static final List<CgroupDir> V2 =
      List.of(dir("/c", "cpuset,cpu,io,memory,hugetlb,pids,rdma", true));

  private static final BlockDevices DEVICES =
      BlockDevices.parse(
          """
          major minor  #blocks  name

             8        0  268435456 sda
             8        0  268435456 twice
           259        3    1048576 nvme0n1p3
           104        0     102400 cciss!c0d0
          x y z broken
          """);

  private final Map<String, String> recorded = new HashMap<>();

  private static CgroupDir dir(String mountPoint, String controllers, boolean v2) {
    return CgroupDir.newBuilder()
        .setMountPoint(mountPoint)
        .setPath("k/c1")
        .setControllers(controllers)
        .setV2(v2)
        .build();
  }

  private void file(String path, String content) {
    recorded.put(path, content);
  }

  private List<FileContent> read(List<CgroupDir> dirs) {
    List<FileContent> files = new ArrayList<>();
    for (String path : Stats.statsFiles(dirs)) {
      String content = recorded.get(path);
      files.add(
          content == null
              ? FileContent.getDefaultInstance()
              : FileContent.newBuilder()
                  .setExists(true)
                  .setContent(ByteString.copyFromUtf8(content))
                  .build());
    }
    return files;
  }

  private MetricsV1 v1() {
    return (MetricsV1) Stats.parse(V1, read(V1), DEVICES);
  }

  private MetricsV2 v2() {
    return (MetricsV2) Stats.parse(V2, read(V2), DEVICES);
  }

  @Test
  void v1CpuTimesAreNanoseconds() {
    file("/c/cpu,cpuacct/k/c1/cpuacct.usage", "1893124567\n");
    file("/c/cpu,cpuacct/k/c1/cpuacct.stat", "user 121\nsystem 68\n");
    file("/c/cpu,cpuacct/k/c1/cpuacct.usage_percpu", "1000124567 893000000 \n");
    file(
        "/c/cpu,cpuacct/k/c1/cpu.stat",
        "nr_periods 10\nnr_throttled 3\nthrottled_time 250000000\nnr_bursts 0\nburst_time 0\n");
    assertThat(v1().cpu())
        .contains(
            new MetricsV1.Cpu(
                1893124567L,
                680000000L,
                1210000000L,
                List.of(1000124567L, 893000000L),
                10,
                3,
                250000000L));
  }

  @Test
  void v1MemoryIsReadWhole() {
    StringBuilder stat = new StringBuilder();
    String[] names = {
      "cache",
      "rss",
      "rss_huge",
      "shmem",
      "mapped_file",
      "dirty",
      "writeback",
      "pgpgin",
      "pgpgout",
      "pgfault",
      "pgmajfault",
      "inactive_anon",
      "active_anon",
      "inactive_file",
      "active_file",
      "unevictable"
    };
    int value = 1;
    for (String prefix : List.of("", "total_")) {
      for (String name : names) {
        stat.append(prefix).append(name).append(' ').append(value++).append('\n');
      }
    }
    stat.append("hierarchical_memory_limit 1048576\nhierarchical_memsw_limit 2097152\n");
    file("/c/memory/k/c1/memory.stat", stat.toString());
    file("/c/memory/k/c1/memory.usage_in_bytes", "524288\n");
    file("/c/memory/k/c1/memory.limit_in_bytes", "9223372036854771712\n");
    file("/c/memory/k/c1/memory.max_usage_in_bytes", "700000\n");
    file("/c/memory/k/c1/memory.failcnt", "4\n");
    file("/c/memory/k/c1/memory.kmem.tcp.limit_in_bytes", "77\n");
    file("/c/memory/k/c1/memory.oom_control", "oom_kill_disable 0\nunder_oom 1\noom_kill 2\n");
    MetricsV1.Memory memory = v1().memory().orElseThrow();
    assertThat(memory.usage())
        .isEqualTo(new MetricsV1.MemoryEntry(9223372036854771712L, 524288, 700000, 4));
    assertThat(memory.kernelTcp().limit()).isEqualTo(77);
    assertThat(memory.swap().limit()).as("not there is no limit, never 0").isEqualTo(-1);
    assertThat(memory.hierarchicalSwapLimit()).isEqualTo(2097152);
    assertThat(memory.unevictable()).isEqualTo(16);
    assertThat(memory.totalUnevictable()).isEqualTo(32);
    assertThat(v1().memoryOomControl()).contains(new MetricsV1.OomControl(0, 1, 2));
    assertNothingForgotten(memory);
  }

  @Test
  void v1BlockDevicesAreCountedByBfqOrElseByTheThrottle() {
    file(
        "/c/blkio/k/c1/blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 4096\n8:0 Write 8192\n8:0 Total 12288\nTotal 12288\n");
    file("/c/blkio/k/c1/blkio.throttle.io_serviced_recursive", "8:0 Read 1\nTotal 1\n");
    file("/c/blkio/k/c1/blkio.bfq.io_serviced_recursive", "259:3 Read 7\nTotal 7\n");
    file("/c/blkio/k/c1/blkio.bfq.sectors_recursive", "259:3 99\n");
    MetricsV1.BlkIo blkio = v1().blkio().orElseThrow();
    assertThat(blkio.ioServiceBytesRecursive())
        .containsExactly(
            new MetricsV1.BlkIoEntry("Read", "/dev/sda", 8, 0, 4096),
            new MetricsV1.BlkIoEntry("Write", "/dev/sda", 8, 0, 8192),
            new MetricsV1.BlkIoEntry("Total", "/dev/sda", 8, 0, 12288));
    assertThat(blkio.ioServicedRecursive())
        .containsExactly(new MetricsV1.BlkIoEntry("Read", "/dev/nvme0n1p3", 259, 3, 7));
    assertThat(blkio.sectorsRecursive())
        .containsExactly(new MetricsV1.BlkIoEntry("", "/dev/nvme0n1p3", 259, 3, 99));
  }

  @Test
  void v1PidsHugePagesAndRdma() {
    file("/c/pids/k/c1/pids.current", "5\n");
    file("/c/pids/k/c1/pids.max", "max\n");
    file("/c/hugetlb/k/c1/hugetlb.2MB.usage_in_bytes", "4194304\n");
    file("/c/hugetlb/k/c1/hugetlb.2MB.max_usage_in_bytes", "6291456\n");
    file("/c/hugetlb/k/c1/hugetlb.2MB.failcnt", "1\n");
    file("/c/rdma/k/c1/rdma.current", "mlx4_0 hca_handle=2 hca_object=2000\n");
    file("/c/rdma/k/c1/rdma.max", "mlx4_0 hca_handle=3 hca_object=max\n");
    assertThat(v1().pids()).contains(new MetricsV1.Pids(5, -1));
    assertThat(v1().hugetlb()).containsExactly(new MetricsV1.Hugetlb(4194304, 6291456, 1, "2MB"));
    assertThat(v1().rdma())
        .contains(
            new RdmaUse(
                List.of(new RdmaUse.Entry("mlx4_0", 2, 2000)),
                List.of(new RdmaUse.Entry("mlx4_0", 3, 4294967295L))));
  }

  @Test
  void v2CpuWithPressure() {
    file(
        "/c/k/c1/cpu.stat",
        "usage_usec 2810\nuser_usec 1810\nsystem_usec 1000\nnice_usec 0\n"
            + "core_sched.force_idle_usec 0\nnr_periods 5\nnr_throttled 4\nthrottled_usec 3\n"
            + "nr_bursts 2\nburst_usec 1\n");
    file(
        "/c/k/c1/cpu.pressure",
        "some avg10=1.50 avg60=0.25 avg300=0.00 total=123456\n"
            + "full avg10=0.00 avg60=0.10 avg300=0.00 total=77\n");
    assertThat(v2().cpu())
        .contains(
            new MetricsV2.Cpu(
                2810,
                1810,
                1000,
                5,
                4,
                3,
                java.util.Optional.of(
                    new MetricsV2.Psi(
                        new MetricsV2.PsiData(1.5, 0.25, 0, 123456),
                        new MetricsV2.PsiData(0, 0.1, 0, 77))),
                2,
                1));
  }

  @Test
  void v2MemoryIsReadWhole() {
    StringBuilder stat = new StringBuilder();
    int value = 1;
    for (String name :
        List.of(
            "anon",
            "file",
            "kernel",
            "kernel_stack",
            "pagetables",
            "percpu",
            "sock",
            "vmalloc",
            "shmem",
            "file_mapped",
            "file_dirty",
            "file_writeback",
            "swapcached",
            "anon_thp",
            "file_thp",
            "shmem_thp",
            "inactive_anon",
            "active_anon",
            "inactive_file",
            "active_file",
            "unevictable",
            "slab_reclaimable",
            "slab_unreclaimable",
            "slab",
            "workingset_refault_anon",
            "workingset_refault_file",
            "workingset_activate_anon",
            "workingset_activate_file",
            "workingset_nodereclaim",
            "pgscan",
            "pgsteal",
            "pgfault",
            "pgmajfault",
            "pgrefill",
            "pgactivate",
            "pgdeactivate",
            "pglazyfree",
            "pglazyfreed",
            "thp_fault_alloc",
            "thp_collapse_alloc")) {
      stat.append(name).append(' ').append(value++).append('\n');
    }
    file("/c/k/c1/memory.stat", stat.toString());
    file("/c/k/c1/memory.current", "4096\n");
    file("/c/k/c1/memory.max", "max\n");
    file("/c/k/c1/memory.peak", "8192\n");
    file("/c/k/c1/memory.swap.current", "12\n");
    file("/c/k/c1/memory.swap.max", "13\n");
    file("/c/k/c1/memory.swap.peak", "14\n");
    file("/c/k/c1/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=9\n");
    file(
        "/c/k/c1/memory.events",
        "low 1\nhigh 2\nmax 3\noom 4\noom_kill 5\noom_group_kill 6\nsock_throttled 0\n");
    MetricsV2.Memory memory = v2().memory().orElseThrow();
    assertThat(memory.usage()).isEqualTo(4096);
    assertThat(memory.usageLimit()).isEqualTo(-1);
    assertThat(memory.swapLimit()).isEqualTo(13);
    assertThat(memory.maxUsage()).isEqualTo(8192);
    assertThat(memory.workingsetRefault()).isEqualTo(25 + 26);
    assertThat(memory.workingsetActivate()).isEqualTo(27 + 28);
    assertThat(memory.thpCollapseAlloc()).isEqualTo(40);
    assertThat(memory.psi().orElseThrow().some().total()).isEqualTo(9);
    assertThat(v2().memoryEvents()).contains(new MetricsV2.MemoryEvents(1, 2, 3, 4, 5, 6));
    assertNothingForgotten(memory);
  }

  @Test
  void v2IoPidsAndHugePages() {
    file(
        "/c/k/c1/io.stat",
        "8:16 rbytes=1459200 wbytes=314773504 rios=192 wios=353 dbytes=0 dios=0\n8:0 \n");
    file("/c/k/c1/pids.current", "3\n");
    file("/c/k/c1/pids.max", "100\n");
    file("/c/k/c1/hugetlb.1GB.current", "0\n");
    file("/c/k/c1/hugetlb.1GB.max", "1073741824\n");
    file("/c/k/c1/hugetlb.1GB.events", "max 8\n");
    assertThat(v2().io().orElseThrow().usage())
        .containsExactly(
            new MetricsV2.IoEntry(8, 16, 1459200, 314773504, 192, 353),
            new MetricsV2.IoEntry(8, 0, 0, 0, 0, 0));
    assertThat(v2().pids()).contains(new MetricsV2.Pids(3, 100));
    assertThat(v2().hugetlb()).containsExactly(new MetricsV2.Hugetlb(0, 1073741824, "1GB", 8));
  }

  @Test
  void aControllerThatIsNotThereIsAbsent() {
    MetricsV2 none = v2();
    assertThat(none.memory()).isEmpty();
    assertThat(none.cpu()).isEmpty();
    assertThat(none.hugetlb()).isEmpty();
    List<CgroupDir> onlyPids = List.of(dir("/c/pids", "pids", false));
    MetricsV1 pids = (MetricsV1) Stats.parse(onlyPids, read(onlyPids), DEVICES);
    assertThat(pids.memory()).isEmpty();
    assertThat(pids.pids()).isPresent();
  }

  @Test
  void filesAskedForFitOneStepOfTheKeeper() {
    assertThat(Stats.statsFiles(V1)).hasSizeLessThan(200).doesNotHaveDuplicates();
    assertThat(Stats.statsFiles(V2)).hasSizeLessThan(200).doesNotHaveDuplicates();
  }

  @Property(tries = 200)
  void nothingThatAFileSaysIsAReasonToFail(@ForAll String content) {
    for (List<CgroupDir> dirs : List.of(V1, V2)) {
      List<FileContent> files =
          Stats.statsFiles(dirs).stream()
              .map(path ->
                  FileContent.newBuilder()
                      .setExists(true)
                      .setContent(ByteString.copyFromUtf8(content))
                      .build())
              .toList();
      assertThat(Stats.parse(dirs, files, DEVICES)).isNotNull();
    }
  }

  /** Every number of the record came from somewhere. */
  private static void assertNothingForgotten(Record metrics) {
    for (RecordComponent component : metrics.getClass().getRecordComponents()) {
      if (component.getType() == long.class) {
        try {
          assertThat((long) component.getAccessor().invoke(metrics))
              .as(component.getName())
              .isNotZero();
        } catch (ReflectiveOperationException e) {
          throw new AssertionError(e);
        }
      }
    }
  }

  @Test
  void aDeviceIsNamedAsItsNodeOrNotAtAll() {
    assertThat(DEVICES.name(104, 0)).isEqualTo("/dev/cciss/c0d0");
    assertThat(DEVICES.name(1, 1)).isEmpty();
  }

  @Property
  void whateverTheKernelSaysOfPartitionsIsNoReasonToFail(@ForAll String text) {
    assertThat(BlockDevices.parse(text)).isNotNull();
  }
}
