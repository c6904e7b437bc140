package brig.sandbox.plan;

import java.util.List;
import java.util.Optional;

/**
 * Field for field containerd's {@code io.containerd.cgroups.v2.Metrics}. Numbers are unsigned; no
 * limit is all bits set. Absent: the controller is not there.
 */
public record MetricsV2(
    Optional<Pids> pids,
    Optional<Cpu> cpu,
    Optional<Memory> memory,
    Optional<RdmaUse> rdma,
    Optional<Io> io,
    List<Hugetlb> hugetlb,
    Optional<MemoryEvents> memoryEvents)
    implements Metrics {
  public MetricsV2 {
    hugetlb = List.copyOf(hugetlb);
  }

  public record Pids(long current, long limit) {}

  public record Cpu(
      long usageUsec,
      long userUsec,
      long systemUsec,
      long nrPeriods,
      long nrThrottled,
      long throttledUsec,
      Optional<Psi> psi,
      long nrBursts,
      long burstUsec) {}

  /** Pressure stall information. */
  public record Psi(PsiData some, PsiData full) {}

  public record PsiData(double avg10, double avg60, double avg300, long total) {}

  public record Memory(
      long anon,
      long file,
      long kernelStack,
      long slab,
      long sock,
      long shmem,
      long fileMapped,
      long fileDirty,
      long fileWriteback,
      long anonThp,
      long inactiveAnon,
      long activeAnon,
      long inactiveFile,
      long activeFile,
      long unevictable,
      long slabReclaimable,
      long slabUnreclaimable,
      long pgfault,
      long pgmajfault,
      long workingsetRefault,
      long workingsetActivate,
      long workingsetNodereclaim,
      long pgrefill,
      long pgscan,
      long pgsteal,
      long pgactivate,
      long pgdeactivate,
      long pglazyfree,
      long pglazyfreed,
      long thpFaultAlloc,
      long thpCollapseAlloc,
      long usage,
      long usageLimit,
      long swapUsage,
      long swapLimit,
      long maxUsage,
      long swapMaxUsage,
      Optional<Psi> psi) {}

  public record MemoryEvents(
      long low, long high, long max, long oom, long oomKill, long oomGroupKill) {}

  public record Io(List<IoEntry> usage, Optional<Psi> psi) {
    public Io {
      usage = List.copyOf(usage);
    }
  }

  public record IoEntry(long major, long minor, long rbytes, long wbytes, long rios, long wios) {}

  public record Hugetlb(long current, long max, String pagesize, long failcnt) {}
}
