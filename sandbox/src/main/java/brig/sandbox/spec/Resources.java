package brig.sandbox.spec;

import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/** {@code linux.resources}, also the payload of an update, where only what is given changes. */
public record Resources(
    List<DeviceRule> devices,
    MemoryLimits memory,
    CpuLimits cpu,
    OptionalLong pidsLimit,
    BlockIo blockIo,
    List<HugepageLimit> hugepageLimits,
    NetworkLimits network,
    Map<String, RdmaLimit> rdma,
    Map<String, String> unified) {
  public Resources {
    devices = List.copyOf(devices);
    hugepageLimits = List.copyOf(hugepageLimits);
    rdma = Ordered.copy(rdma);
    unified = Ordered.copy(unified);
  }

  public static final Resources NONE =
      new Resources(
          List.of(),
          MemoryLimits.NONE,
          CpuLimits.NONE,
          OptionalLong.empty(),
          BlockIo.NONE,
          List.of(),
          NetworkLimits.NONE,
          Map.of(),
          Map.of());

  /** The same with other CPU limits. */
  public Resources withCpu(CpuLimits other) {
    return new Resources(
        devices, memory, other, pidsLimit, blockIo, hugepageLimits, network, rdma, unified);
  }

  /** The same with other limits of memory. */
  public Resources withMemory(MemoryLimits other) {
    return new Resources(
        devices, other, cpu, pidsLimit, blockIo, hugepageLimits, network, rdma, unified);
  }
}
