package brig.sandbox.plan;

import java.util.List;
import java.util.Optional;

/**
 * Field for field containerd's {@code io.containerd.cgroups.v1.Metrics}. Numbers are unsigned; no
 * limit is all bits set. Absent: the controller is not there. Its "network" and "cgroup_stats" have
 * no source among the cgroup's files and stay empty, as the runc shim leaves them.
 */
public record MetricsV1(
    List<Hugetlb> hugetlb,
    Optional<Pids> pids,
    Optional<Cpu> cpu,
    Optional<Memory> memory,
    Optional<BlkIo> blkio,
    Optional<RdmaUse> rdma,
    Optional<OomControl> memoryOomControl)
    implements Metrics {
  public MetricsV1 {
    hugetlb = List.copyOf(hugetlb);
  }

  public record Hugetlb(long usage, long max, long failcnt, String pagesize) {}

  public record Pids(long current, long limit) {}

  /** Times in nanoseconds. */
  public record Cpu(
      long total,
      long kernel,
      long user,
      List<Long> perCpu,
      long periods,
      long throttledPeriods,
      long throttledTime) {
    public Cpu {
      perCpu = List.copyOf(perCpu);
    }
  }

  /** Bytes and counts, first the cgroup's own, then with its descendants'. */
  public record Memory(
      long cache,
      long rss,
      long rssHuge,
      long mappedFile,
      long dirty,
      long writeback,
      long pgPgIn,
      long pgPgOut,
      long pgFault,
      long pgMajFault,
      long inactiveAnon,
      long activeAnon,
      long inactiveFile,
      long activeFile,
      long unevictable,
      long hierarchicalMemoryLimit,
      long hierarchicalSwapLimit,
      long totalCache,
      long totalRss,
      long totalRssHuge,
      long totalMappedFile,
      long totalDirty,
      long totalWriteback,
      long totalPgPgIn,
      long totalPgPgOut,
      long totalPgFault,
      long totalPgMajFault,
      long totalInactiveAnon,
      long totalActiveAnon,
      long totalInactiveFile,
      long totalActiveFile,
      long totalUnevictable,
      MemoryEntry usage,
      MemoryEntry swap,
      MemoryEntry kernel,
      MemoryEntry kernelTcp) {}

  public record MemoryEntry(long limit, long usage, long max, long failcnt) {}

  public record OomControl(long oomKillDisable, long underOom, long oomKill) {}

  public record BlkIo(
      List<BlkIoEntry> ioServiceBytesRecursive,
      List<BlkIoEntry> ioServicedRecursive,
      List<BlkIoEntry> ioQueuedRecursive,
      List<BlkIoEntry> ioServiceTimeRecursive,
      List<BlkIoEntry> ioWaitTimeRecursive,
      List<BlkIoEntry> ioMergedRecursive,
      List<BlkIoEntry> ioTimeRecursive,
      List<BlkIoEntry> sectorsRecursive) {
    public BlkIo {
      ioServiceBytesRecursive = List.copyOf(ioServiceBytesRecursive);
      ioServicedRecursive = List.copyOf(ioServicedRecursive);
      ioQueuedRecursive = List.copyOf(ioQueuedRecursive);
      ioServiceTimeRecursive = List.copyOf(ioServiceTimeRecursive);
      ioWaitTimeRecursive = List.copyOf(ioWaitTimeRecursive);
      ioMergedRecursive = List.copyOf(ioMergedRecursive);
      ioTimeRecursive = List.copyOf(ioTimeRecursive);
      sectorsRecursive = List.copyOf(sectorsRecursive);
    }
  }

  /**
   * @param op "Read", "Write", ...; empty where the file has none
   * @param device path of its node below /dev where it is known, else empty
   */
  public record BlkIoEntry(String op, String device, long major, long minor, long value) {}
}
