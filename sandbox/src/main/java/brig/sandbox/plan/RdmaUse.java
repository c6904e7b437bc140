package brig.sandbox.plan;

import java.util.List;

/** Use and limits of RDMA devices; the same in both cgroup versions. */
public record RdmaUse(List<Entry> current, List<Entry> limit) {
  public RdmaUse {
    current = List.copyOf(current);
    limit = List.copyOf(limit);
  }

  /** No limit is 4294967295. */
  public record Entry(String device, long hcaHandles, long hcaObjects) {}
}
