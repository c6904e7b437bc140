package brig.shim.task;

import brig.proto.containerd.cgroups.v1.BlkIOEntry;
import brig.proto.containerd.cgroups.v1.BlkIOStat;
import brig.proto.containerd.cgroups.v1.CPUStat;
import brig.proto.containerd.cgroups.v1.MemoryEntry;
import brig.proto.containerd.cgroups.v1.MemoryStat;
import brig.proto.containerd.cgroups.v1.Metrics;
import brig.proto.containerd.cgroups.v1.RdmaEntry;
import brig.proto.containerd.cgroups.v1.RdmaStat;
import brig.sandbox.plan.MetricsV1;
import brig.sandbox.plan.RdmaUse;
import java.util.List;

/** Resource use by cgroup v1 in containerd's message. */
final class V1Messages {
  private V1Messages() {}

  static Metrics of(MetricsV1 metrics) {
    Metrics.Builder message = Metrics.newBuilder();
    for (MetricsV1.Hugetlb page : metrics.hugetlb()) {
      message
          .addHugetlbBuilder()
          .setUsage(page.usage())
          .setMax(page.max())
          .setFailcnt(page.failcnt())
          .setPagesize(page.pagesize());
    }
    metrics
        .pids()
        .ifPresent(
            pids -> message.getPidsBuilder().setCurrent(pids.current()).setLimit(pids.limit()));
    metrics.cpu().ifPresent(cpu -> message.setCpu(cpu(cpu)));
    metrics.memory().ifPresent(memory -> message.setMemory(memory(memory)));
    metrics.blkio().ifPresent(blkio -> message.setBlkio(blkio(blkio)));
    metrics.rdma().ifPresent(rdma -> message.setRdma(rdma(rdma)));
    metrics
        .memoryOomControl()
        .ifPresent(oom ->
            message
                .getMemoryOomControlBuilder()
                .setOomKillDisable(oom.oomKillDisable())
                .setUnderOom(oom.underOom())
                .setOomKill(oom.oomKill()));
    return message.build();
  }

  private static CPUStat cpu(MetricsV1.Cpu cpu) {
    CPUStat.Builder message = CPUStat.newBuilder();
    message
        .getUsageBuilder()
        .setTotal(cpu.total())
        .setKernel(cpu.kernel())
        .setUser(cpu.user())
        .addAllPerCpu(cpu.perCpu());
    message
        .getThrottlingBuilder()
        .setPeriods(cpu.periods())
        .setThrottledPeriods(cpu.throttledPeriods())
        .setThrottledTime(cpu.throttledTime());
    return message.build();
  }

  private static MemoryStat memory(MetricsV1.Memory memory) {
    return MemoryStat.newBuilder()
        .setCache(memory.cache())
        .setRss(memory.rss())
        .setRssHuge(memory.rssHuge())
        .setMappedFile(memory.mappedFile())
        .setDirty(memory.dirty())
        .setWriteback(memory.writeback())
        .setPgPgIn(memory.pgPgIn())
        .setPgPgOut(memory.pgPgOut())
        .setPgFault(memory.pgFault())
        .setPgMajFault(memory.pgMajFault())
        .setInactiveAnon(memory.inactiveAnon())
        .setActiveAnon(memory.activeAnon())
        .setInactiveFile(memory.inactiveFile())
        .setActiveFile(memory.activeFile())
        .setUnevictable(memory.unevictable())
        .setHierarchicalMemoryLimit(memory.hierarchicalMemoryLimit())
        .setHierarchicalSwapLimit(memory.hierarchicalSwapLimit())
        .setTotalCache(memory.totalCache())
        .setTotalRss(memory.totalRss())
        .setTotalRssHuge(memory.totalRssHuge())
        .setTotalMappedFile(memory.totalMappedFile())
        .setTotalDirty(memory.totalDirty())
        .setTotalWriteback(memory.totalWriteback())
        .setTotalPgPgIn(memory.totalPgPgIn())
        .setTotalPgPgOut(memory.totalPgPgOut())
        .setTotalPgFault(memory.totalPgFault())
        .setTotalPgMajFault(memory.totalPgMajFault())
        .setTotalInactiveAnon(memory.totalInactiveAnon())
        .setTotalActiveAnon(memory.totalActiveAnon())
        .setTotalInactiveFile(memory.totalInactiveFile())
        .setTotalActiveFile(memory.totalActiveFile())
        .setTotalUnevictable(memory.totalUnevictable())
        .setUsage(entry(memory.usage()))
        .setSwap(entry(memory.swap()))
        .setKernel(entry(memory.kernel()))
        .setKernelTcp(entry(memory.kernelTcp()))
        .build();
  }

  private static MemoryEntry entry(MetricsV1.MemoryEntry entry) {
    return MemoryEntry.newBuilder()
        .setLimit(entry.limit())
        .setUsage(entry.usage())
        .setMax(entry.max())
        .setFailcnt(entry.failcnt())
        .build();
  }

  private static BlkIOStat blkio(MetricsV1.BlkIo blkio) {
    return BlkIOStat.newBuilder()
        .addAllIoServiceBytesRecursive(entries(blkio.ioServiceBytesRecursive()))
        .addAllIoServicedRecursive(entries(blkio.ioServicedRecursive()))
        .addAllIoQueuedRecursive(entries(blkio.ioQueuedRecursive()))
        .addAllIoServiceTimeRecursive(entries(blkio.ioServiceTimeRecursive()))
        .addAllIoWaitTimeRecursive(entries(blkio.ioWaitTimeRecursive()))
        .addAllIoMergedRecursive(entries(blkio.ioMergedRecursive()))
        .addAllIoTimeRecursive(entries(blkio.ioTimeRecursive()))
        .addAllSectorsRecursive(entries(blkio.sectorsRecursive()))
        .build();
  }

  private static List<BlkIOEntry> entries(List<MetricsV1.BlkIoEntry> entries) {
    return entries.stream()
        .map(entry ->
            BlkIOEntry.newBuilder()
                .setOp(entry.op())
                .setDevice(entry.device())
                .setMajor(entry.major())
                .setMinor(entry.minor())
                .setValue(entry.value())
                .build())
        .toList();
  }

  private static RdmaStat rdma(RdmaUse use) {
    RdmaStat.Builder message = RdmaStat.newBuilder();
    use.current().forEach(entry -> message.addCurrent(rdma(entry)));
    use.limit().forEach(entry -> message.addLimit(rdma(entry)));
    return message.build();
  }

  private static RdmaEntry rdma(RdmaUse.Entry entry) {
    return RdmaEntry.newBuilder()
        .setDevice(entry.device())
        .setHcaHandles((int) entry.hcaHandles())
        .setHcaObjects((int) entry.hcaObjects())
        .build();
  }
}
