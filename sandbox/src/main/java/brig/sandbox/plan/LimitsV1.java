package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.BlockIo;
import brig.sandbox.spec.CpuLimits;
import brig.sandbox.spec.HugepageLimit;
import brig.sandbox.spec.MemoryLimits;
import brig.sandbox.spec.NetworkLimits;
import brig.sandbox.spec.RdmaLimit;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.ThrottleDevice;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * The spec's limits as values for cgroup v1 files (Documentation/admin-guide/cgroup-v1 of the
 * kernel), in an order in which a fresh cgroup takes them.
 */
final class LimitsV1 {
  private static final String CPU = "linux.resources.cpu.";
  private static final String MEMORY = "linux.resources.memory.";
  private static final String BLOCK_IO = "linux.resources.blockIO.";

  /** The kernel's least number of shares. */
  private static final long MIN_SHARES = 2;

  private static final long MAX_SWAPPINESS = 100;

  private final List<Limit> limits = new ArrayList<>();

  private LimitsV1() {}

  static List<Limit> of(Resources resources) throws BrigException {
    LimitsV1 v1 = new LimitsV1();
    v1.cpu(resources.cpu());
    v1.memory(resources.memory());
    resources
        .pidsLimit()
        .ifPresent(limit ->
            v1.add(
                "pids", "pids.max", limit > 0 ? "" + limit : "max", "linux.resources.pids.limit"));
    v1.blockIo(resources.blockIo());
    for (HugepageLimit limit : resources.hugepageLimits()) {
      // What is reserved first, so that a mapping fails and not a later access to it.
      for (String file : List.of(".rsvd.limit_in_bytes", ".limit_in_bytes")) {
        v1.add(
            "hugetlb",
            "hugetlb." + limit.pageSize() + file,
            Long.toUnsignedString(limit.limit()),
            "linux.resources.hugepageLimits");
      }
    }
    v1.limits.addAll(network(resources));
    for (Map.Entry<String, RdmaLimit> rdma : resources.rdma().entrySet()) {
      v1.add(
          "rdma",
          "rdma.max",
          LimitsV2.rdma(rdma.getKey(), rdma.getValue()),
          "linux.resources.rdma");
    }
    return v1.limits;
  }

  private void cpu(CpuLimits cpu) {
    long shares = cpu.shares().orElse(0);
    if (shares > 0) {
      add("cpu", "cpu.shares", "" + Math.max(shares, MIN_SHARES), CPU + "shares");
    }
    positive("cpu", "cpu.cfs_period_us", cpu.period(), CPU + "period");
    // Zero stands for "not given" in what clients send, as for runc.
    cpu.quota()
        .ifPresent(quota -> {
          if (quota != 0) {
            add("cpu", "cpu.cfs_quota_us", "" + quota, CPU + "quota");
          }
        });
    any("cpu", "cpu.cfs_burst_us", cpu.burst(), CPU + "burst");
    positive("cpu", "cpu.rt_period_us", cpu.realtimePeriod(), CPU + "realtimePeriod");
    cpu.realtimeRuntime()
        .ifPresent(runtime -> {
          if (runtime != 0) {
            add("cpu", "cpu.rt_runtime_us", "" + runtime, CPU + "realtimeRuntime");
          }
        });
    any("cpu", "cpu.idle", cpu.idle(), CPU + "idle");
    if (!cpu.cpus().isEmpty()) {
      add("cpuset", "cpuset.cpus", cpu.cpus(), CPU + "cpus");
    }
    if (!cpu.mems().isEmpty()) {
      add("cpuset", "cpuset.mems", cpu.mems(), CPU + "mems");
    }
  }

  private void memory(MemoryLimits memory) throws BrigException {
    LimitsV2.refuseKernelMemory(memory);
    // In a fresh cgroup memory+swap is unlimited, so the smaller limit comes first.
    given("memory", "memory.limit_in_bytes", memory.limit(), MEMORY + "limit");
    given("memory", "memory.memsw.limit_in_bytes", memory.swap(), MEMORY + "swap");
    given("memory", "memory.soft_limit_in_bytes", memory.reservation(), MEMORY + "reservation");
    given("memory", "memory.kmem.tcp.limit_in_bytes", memory.kernelTcp(), MEMORY + "kernelTCP");
    if (memory.swappiness().isPresent()) {
      long swappiness = memory.swappiness().getAsLong();
      // All bits set is how old clients say "not given".
      if (swappiness != -1) {
        if (swappiness < 0 || swappiness > MAX_SWAPPINESS) {
          throw Refusal.invalid(
              MEMORY + "swappiness",
              "is " + Long.toUnsignedString(swappiness) + ", not within 0 to 100",
              "");
        }
        add("memory", "memory.swappiness", "" + swappiness, MEMORY + "swappiness");
      }
    }
    if (memory.disableOomKiller().orElse(false)) {
      add("memory", "memory.oom_control", "1", MEMORY + "disableOOMKiller");
    }
    if (!memory.useHierarchy().orElse(true)) {
      throw Refusal.notEnforced(
          MEMORY + "useHierarchy", "can't be switched off since Linux 5.11", "leave it out");
    }
  }

  private void blockIo(BlockIo io) throws BrigException {
    LimitsV2.refuseLeafWeights(io);
    io.weight()
        .ifPresent(weight -> {
          if (weight != 0) {
            add("blkio", "blkio.bfq.weight", "" + weight, BLOCK_IO + "weight");
          }
        });
    io.weightDevices()
        .forEach(device ->
            device
                .weight()
                .ifPresent(weight ->
                    add(
                        "blkio",
                        "blkio.bfq.weight_device",
                        device.major() + ":" + device.minor() + " " + weight,
                        BLOCK_IO + "weightDevice")));
    throttle("blkio.throttle.read_bps_device", io.throttleReadBps(), "throttleReadBpsDevice");
    throttle("blkio.throttle.write_bps_device", io.throttleWriteBps(), "throttleWriteBpsDevice");
    throttle("blkio.throttle.read_iops_device", io.throttleReadIops(), "throttleReadIOPSDevice");
    throttle("blkio.throttle.write_iops_device", io.throttleWriteIops(), "throttleWriteIOPSDevice");
  }

  private void throttle(String file, List<ThrottleDevice> devices, String field) {
    for (ThrottleDevice device : devices) {
      add(
          "blkio",
          file,
          device.major() + ":" + device.minor() + " " + Long.toUnsignedString(device.rate()),
          BLOCK_IO + field);
    }
  }

  /** Of the controllers that have stayed on v1, whatever the others are on. */
  static List<Limit> network(Resources resources) {
    LimitsV1 v1 = new LimitsV1();
    NetworkLimits network = resources.network();
    v1.any("net_cls", "net_cls.classid", network.classId(), "linux.resources.network.classID");
    network
        .priorities()
        .forEach(priority ->
            v1.add(
                "net_prio",
                "net_prio.ifpriomap",
                priority.name() + " " + priority.priority(),
                "linux.resources.network.priorities"));
    return v1.limits;
  }

  /** A memory limit: zero stands for "not given". */
  private void given(String controller, String file, OptionalLong value, String field) {
    if (value.orElse(0) != 0) {
      add(controller, file, "" + value.getAsLong(), field);
    }
  }

  private void positive(String controller, String file, OptionalLong value, String field) {
    if (value.orElse(0) > 0) {
      add(controller, file, "" + value.getAsLong(), field);
    }
  }

  private void any(String controller, String file, OptionalLong value, String field) {
    value.ifPresent(number -> add(controller, file, "" + number, field));
  }

  private void add(String controller, String file, String value, String field) {
    limits.add(new Limit(controller, file, value, field));
  }
}
