package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.BlockIo;
import brig.sandbox.spec.CpuLimits;
import brig.sandbox.spec.HugepageLimit;
import brig.sandbox.spec.MemoryLimits;
import brig.sandbox.spec.RdmaLimit;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.ThrottleDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * The spec's limits, which are written for cgroup v1, as values for cgroup v2 files
 * (Documentation/admin-guide/cgroup-v2.rst of the kernel).
 */
final class LimitsV2 {
  private static final String CPU = "linux.resources.cpu.";
  private static final String MEMORY = "linux.resources.memory.";
  private static final String BLOCK_IO = "linux.resources.blockIO.";
  private static final String MAX = "max";
  private static final long MIN_SHARES = 2;
  private static final long MAX_SHARES = 262_144;
  private static final long MAX_WEIGHT = 10_000;
  private static final long DEFAULT_PERIOD = 100_000;

  private final List<Limit> limits = new ArrayList<>();

  private LimitsV2() {}

  static List<Limit> of(Resources resources) throws BrigException {
    LimitsV2 v2 = new LimitsV2();
    v2.cpu(resources.cpu());
    v2.memory(resources.memory());
    resources
        .pidsLimit()
        .ifPresent(limit ->
            v2.add("pids", "pids.max", limit > 0 ? "" + limit : MAX, "linux.resources.pids.limit"));
    v2.blockIo(resources.blockIo());
    v2.limits.addAll(hugepageLimits(resources));
    for (Map.Entry<String, RdmaLimit> rdma : resources.rdma().entrySet()) {
      v2.add("rdma", "rdma.max", rdma(rdma.getKey(), rdma.getValue()), "linux.resources.rdma");
    }
    v2.limits.addAll(LimitsV1.network(resources));
    v2.limits.addAll(unified(resources));
    return v2.limits;
  }

  /** Values that are written as they are, last, so that they have the last word. */
  static List<Limit> unified(Resources resources) {
    List<Limit> limits = new ArrayList<>();
    resources
        .unified()
        .forEach((file, value) -> {
          String controller = file.substring(0, file.indexOf('.'));
          for (String line : value.split("\n", -1)) {
            if (!line.isBlank()) {
              limits.add(new Limit(controller, file, line, "linux.resources.unified." + file));
            }
          }
        });
    return limits;
  }

  static List<Limit> hugepageLimits(Resources resources) {
    List<Limit> limits = new ArrayList<>();
    for (HugepageLimit limit : resources.hugepageLimits()) {
      for (String file : List.of(".rsvd.max", ".max")) {
        limits.add(
            new Limit(
                "hugetlb",
                "hugetlb." + limit.pageSize() + file,
                Long.toUnsignedString(limit.limit()),
                "linux.resources.hugepageLimits"));
      }
    }
    return limits;
  }

  private void cpu(CpuLimits cpu) throws BrigException {
    if (cpu.realtimeRuntime().orElse(0) != 0 || cpu.realtimePeriod().orElse(0) != 0) {
      throw Refusal.notEnforced(
          CPU + "realtimeRuntime", "cgroup v2 has no real-time limits", "leave it out");
    }
    any("cpu", "cpu.idle", cpu.idle(), CPU + "idle");
    // A cgroup that is idle takes no weight.
    if (cpu.shares().orElse(0) > 0 && cpu.idle().orElse(0) == 0) {
      add("cpu", "cpu.weight", "" + weight(cpu.shares().getAsLong()), CPU + "shares");
    }
    long quota = cpu.quota().orElse(0);
    long period = cpu.period().orElse(0);
    if (quota != 0 || period != 0) {
      String max = quota > 0 ? "" + quota : MAX;
      add("cpu", "cpu.max", max + " " + (period > 0 ? period : DEFAULT_PERIOD), CPU + "quota");
    }
    any("cpu", "cpu.max.burst", cpu.burst(), CPU + "burst");
    if (!cpu.cpus().isEmpty()) {
      add("cpuset", "cpuset.cpus", cpu.cpus(), CPU + "cpus");
    }
    if (!cpu.mems().isEmpty()) {
      add("cpuset", "cpuset.mems", cpu.mems(), CPU + "mems");
    }
  }

  /**
   * Shares (2 to 262144, 1024 is the default) as a weight (1 to 10000, 100 is the default): the
   * curve through these three points that is quadratic in the logarithms, as Kubernetes and the OCI
   * runtimes agreed on, since a straight line gives the default container a weight of 39.
   */
  static long weight(long shares) {
    long bounded = Math.clamp(shares, MIN_SHARES, MAX_SHARES);
    double log = Math.log(bounded) / Math.log(2);
    double exponent = (log * log + 125 * log) / 612 - 7.0 / 34;
    return Math.clamp((long) Math.ceil(Math.pow(10, exponent) - 1e-9), 1, MAX_WEIGHT);
  }

  private void memory(MemoryLimits memory) throws BrigException {
    refuseKernelMemory(memory);
    if (memory.kernelTcp().orElse(0) != 0) {
      throw Refusal.notEnforced(
          MEMORY + "kernelTCP", "cgroup v2 counts it as memory", "leave it out");
    }
    if (memory.swappiness().isPresent() && memory.swappiness().getAsLong() != -1) {
      throw Refusal.notEnforced(
          MEMORY + "swappiness", "cgroup v2 has none per cgroup", "leave it out");
    }
    if (memory.disableOomKiller().orElse(false)) {
      throw Refusal.notEnforced(
          MEMORY + "disableOOMKiller", "cgroup v2 can't do without it", "leave it out");
    }
    if (!memory.useHierarchy().orElse(true)) {
      throw Refusal.notEnforced(MEMORY + "useHierarchy", "cgroup v2 always has it", "leave it out");
    }
    long limit = memory.limit().orElse(0);
    swap(memory, limit);
    if (limit != 0) {
      add("memory", "memory.max", bytes(limit), MEMORY + "limit");
    }
    if (memory.reservation().orElse(0) != 0) {
      add("memory", "memory.low", bytes(memory.reservation().getAsLong()), MEMORY + "reservation");
    }
  }

  /** The spec's swap includes memory; v2 counts it alone. */
  private void swap(MemoryLimits memory, long limit) throws BrigException {
    long swap = memory.swap().orElse(0);
    if (swap == 0) {
      return;
    }
    if (swap > 0 && limit <= 0) {
      throw Refusal.invalid(
          MEMORY + "swap", "is the sum of memory and swap, so it needs a limit", "give limit");
    }
    String value = swap < 0 ? MAX : "" + (swap - limit);
    add("memory", "memory.swap.max", value, MEMORY + "swap");
  }

  private void blockIo(BlockIo io) throws BrigException {
    refuseLeafWeights(io);
    io.weight()
        .ifPresent(weight -> {
          if (weight != 0) {
            add("io", "io.weight", "default " + ioWeight(weight), BLOCK_IO + "weight");
          }
        });
    io.weightDevices()
        .forEach(device ->
            device
                .weight()
                .ifPresent(weight ->
                    add(
                        "io",
                        "io.weight",
                        device.major() + ":" + device.minor() + " " + ioWeight(weight),
                        BLOCK_IO + "weightDevice")));
    throttle("rbps", io.throttleReadBps(), "throttleReadBpsDevice");
    throttle("wbps", io.throttleWriteBps(), "throttleWriteBpsDevice");
    throttle("riops", io.throttleReadIops(), "throttleReadIOPSDevice");
    throttle("wiops", io.throttleWriteIops(), "throttleWriteIOPSDevice");
  }

  /** 10 to 1000 as 1 to 10000. */
  static long ioWeight(int weight) {
    return 1 + (Math.max(weight, 10) - 10L) * 9999 / 990;
  }

  private void throttle(String key, List<ThrottleDevice> devices, String field) {
    for (ThrottleDevice device : devices) {
      add(
          "io",
          "io.max",
          device.major()
              + ":"
              + device.minor()
              + " "
              + key
              + "="
              + Long.toUnsignedString(device.rate()),
          BLOCK_IO + field);
    }
  }

  static String rdma(String device, RdmaLimit limit) {
    StringBuilder value = new StringBuilder(device);
    limit.hcaHandles().ifPresent(handles -> value.append(" hca_handle=").append(handles));
    limit.hcaObjects().ifPresent(objects -> value.append(" hca_object=").append(objects));
    return value.toString();
  }

  static void refuseKernelMemory(MemoryLimits memory) throws BrigException {
    if (memory.kernel().orElse(0) > 0) {
      throw Refusal.notEnforced(
          MEMORY + "kernel", "the kernel has no such limit since Linux 5.16", "leave it out");
    }
  }

  static void refuseLeafWeights(BlockIo io) throws BrigException {
    boolean devices = io.weightDevices().stream().anyMatch(d -> d.leafWeight().isPresent());
    if (io.leafWeight().orElse(0) != 0 || devices) {
      throw Refusal.notEnforced(
          BLOCK_IO + "leafWeight", "the kernel has none since Linux 5.0", "leave it out");
    }
  }

  private static String bytes(long value) {
    return value < 0 ? MAX : "" + value;
  }

  private void any(String controller, String file, OptionalLong value, String field) {
    value.ifPresent(number -> add(controller, file, "" + number, field));
  }

  private void add(String controller, String file, String value, String field) {
    limits.add(new Limit(controller, file, value, field));
  }
}
