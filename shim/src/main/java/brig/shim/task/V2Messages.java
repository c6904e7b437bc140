package brig.shim.task;

import brig.proto.containerd.cgroups.v2.CPUStat;
import brig.proto.containerd.cgroups.v2.IOEntry;
import brig.proto.containerd.cgroups.v2.IOStat;
import brig.proto.containerd.cgroups.v2.MemoryStat;
import brig.proto.containerd.cgroups.v2.Metrics;
import brig.proto.containerd.cgroups.v2.PSIData;
import brig.proto.containerd.cgroups.v2.PSIStats;
import brig.proto.containerd.cgroups.v2.RdmaEntry;
import brig.proto.containerd.cgroups.v2.RdmaStat;
import brig.sandbox.plan.MetricsV2;
import brig.sandbox.plan.RdmaUse;

/** Resource use by cgroup v2 in containerd's message. */
final class V2Messages {
  private V2Messages() {}

  static Metrics of(MetricsV2 metrics) {
    Metrics.Builder message = Metrics.newBuilder();
    metrics
        .pids()
        .ifPresent(
            pids -> message.getPidsBuilder().setCurrent(pids.current()).setLimit(pids.limit()));
    metrics.cpu().ifPresent(cpu -> message.setCpu(cpu(cpu)));
    metrics.memory().ifPresent(memory -> message.setMemory(memory(memory)));
    metrics.rdma().ifPresent(rdma -> message.setRdma(rdma(rdma)));
    metrics.io().ifPresent(io -> message.setIo(io(io)));
    for (MetricsV2.Hugetlb page : metrics.hugetlb()) {
      message
          .addHugetlbBuilder()
          .setCurrent(page.current())
          .setMax(page.max())
          .setPagesize(page.pagesize())
          .setFailcnt(page.failcnt());
    }
    metrics
        .memoryEvents()
        .ifPresent(events ->
            message
                .getMemoryEventsBuilder()
                .setLow(events.low())
                .setHigh(events.high())
                .setMax(events.max())
                .setOom(events.oom())
                .setOomKill(events.oomKill())
                .setOomGroupKill(events.oomGroupKill()));
    return message.build();
  }

  private static CPUStat cpu(MetricsV2.Cpu cpu) {
    CPUStat.Builder message =
        CPUStat.newBuilder()
            .setUsageUsec(cpu.usageUsec())
            .setUserUsec(cpu.userUsec())
            .setSystemUsec(cpu.systemUsec())
            .setNrPeriods(cpu.nrPeriods())
            .setNrThrottled(cpu.nrThrottled())
            .setThrottledUsec(cpu.throttledUsec())
            .setNrBursts(cpu.nrBursts())
            .setBurstUsec(cpu.burstUsec());
    cpu.psi().ifPresent(psi -> message.setPsi(psi(psi)));
    return message.build();
  }

  private static MemoryStat memory(MetricsV2.Memory memory) {
    MemoryStat.Builder message =
        MemoryStat.newBuilder()
            .setAnon(memory.anon())
            .setFile(memory.file())
            .setKernelStack(memory.kernelStack())
            .setSlab(memory.slab())
            .setSock(memory.sock())
            .setShmem(memory.shmem())
            .setFileMapped(memory.fileMapped())
            .setFileDirty(memory.fileDirty())
            .setFileWriteback(memory.fileWriteback())
            .setAnonThp(memory.anonThp())
            .setInactiveAnon(memory.inactiveAnon())
            .setActiveAnon(memory.activeAnon())
            .setInactiveFile(memory.inactiveFile())
            .setActiveFile(memory.activeFile())
            .setUnevictable(memory.unevictable())
            .setSlabReclaimable(memory.slabReclaimable())
            .setSlabUnreclaimable(memory.slabUnreclaimable())
            .setPgfault(memory.pgfault())
            .setPgmajfault(memory.pgmajfault())
            .setWorkingsetRefault(memory.workingsetRefault())
            .setWorkingsetActivate(memory.workingsetActivate())
            .setWorkingsetNodereclaim(memory.workingsetNodereclaim())
            .setPgrefill(memory.pgrefill())
            .setPgscan(memory.pgscan())
            .setPgsteal(memory.pgsteal())
            .setPgactivate(memory.pgactivate())
            .setPgdeactivate(memory.pgdeactivate())
            .setPglazyfree(memory.pglazyfree())
            .setPglazyfreed(memory.pglazyfreed())
            .setThpFaultAlloc(memory.thpFaultAlloc())
            .setThpCollapseAlloc(memory.thpCollapseAlloc())
            .setUsage(memory.usage())
            .setUsageLimit(memory.usageLimit())
            .setSwapUsage(memory.swapUsage())
            .setSwapLimit(memory.swapLimit())
            .setMaxUsage(memory.maxUsage())
            .setSwapMaxUsage(memory.swapMaxUsage());
    memory.psi().ifPresent(psi -> message.setPsi(psi(psi)));
    return message.build();
  }

  private static PSIStats psi(MetricsV2.Psi psi) {
    return PSIStats.newBuilder().setSome(psi(psi.some())).setFull(psi(psi.full())).build();
  }

  private static PSIData psi(MetricsV2.PsiData data) {
    return PSIData.newBuilder()
        .setAvg10(data.avg10())
        .setAvg60(data.avg60())
        .setAvg300(data.avg300())
        .setTotal(data.total())
        .build();
  }

  private static IOStat io(MetricsV2.Io io) {
    IOStat.Builder message = IOStat.newBuilder();
    for (MetricsV2.IoEntry entry : io.usage()) {
      message.addUsage(
          IOEntry.newBuilder()
              .setMajor(entry.major())
              .setMinor(entry.minor())
              .setRbytes(entry.rbytes())
              .setWbytes(entry.wbytes())
              .setRios(entry.rios())
              .setWios(entry.wios()));
    }
    io.psi().ifPresent(psi -> message.setPsi(psi(psi)));
    return message.build();
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
