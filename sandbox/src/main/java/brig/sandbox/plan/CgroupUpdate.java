package brig.sandbox.plan;

import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.FileContent;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import brig.sandbox.spec.CpuLimits;
import brig.sandbox.spec.Resources;
import brig.sandbox.systemd.UnitProperty;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;

/**
 * Changes limits of a living container. The kernel checks some values against others, so that the
 * order of the writes depends on what stands there: v1 never lets memory+swap fall below memory,
 * and a quota must stay within its parent's for the period of the moment.
 */
final class CgroupUpdate {
  private static final String MEMORY_V1 = "memory.limit_in_bytes";
  private static final String MEMORY_V2 = "memory.max";
  private static final String MEMSW_V1 = "memory.memsw.limit_in_bytes";

  private CgroupUpdate() {}

  static List<String> reads(List<CgroupDir> dirs, Resources resources) {
    List<String> files = new ArrayList<>();
    boolean v2 = CgroupTree.isV2(dirs);
    CgroupTree.find(dirs, "memory")
        .map(CgroupTree::absolute)
        .ifPresent(directory -> {
          if (!v2 && resources.memory().limit().isPresent()) {
            files.add(directory + "/" + MEMSW_V1);
          }
          if (v2 && swapAlone(resources)) {
            files.add(directory + "/" + MEMORY_V2);
          }
          if (resources.memory().checkBeforeUpdate().orElse(false)) {
            files.add(directory + (v2 ? "/memory.current" : "/memory.usage_in_bytes"));
          }
        });
    if (v2 && resources.cpu().quota().isPresent() != resources.cpu().period().isPresent()) {
      CgroupTree.find(dirs, "cpu")
          .ifPresent(dir -> files.add(CgroupTree.absolute(dir) + "/cpu.max"));
    }
    return files;
  }

  static List<CgroupOp.Write> writes(
      List<CgroupDir> dirs, Resources resources, List<FileContent> current) throws BrigException {
    Map<String, String> present = present(dirs, resources, current);
    checkUsage(resources, present);
    List<Limit> limits = new ArrayList<>(CgroupPlan.limits(dirs, complete(resources, present)));
    orderMemory(limits, present);
    List<CgroupOp.Write> writes = new ArrayList<>();
    for (Limit limit : limits) {
      writes.add(
          CgroupOp.Write.newBuilder()
              .setPath(CgroupTree.absolute(CgroupPlan.dir(dirs, limit)) + "/" + limit.file())
              .setValue(limit.value())
              .build());
    }
    return writes;
  }

  /** The same change for systemd, where it keeps the container's scope. */
  static List<UnitProperty> properties(
      List<CgroupDir> dirs, Resources resources, List<FileContent> current) throws BrigException {
    return ScopeProperties.of(complete(resources, present(dirs, resources, current)));
  }

  /** Contents by the file's own name. */
  private static Map<String, String> present(
      List<CgroupDir> dirs, Resources resources, List<FileContent> current) throws BrigException {
    List<String> asked = reads(dirs, resources);
    if (asked.size() != current.size()) {
      throw new BrigException(
          BrigException.Kind.INTERNAL,
          "update",
          "",
          asked.size() + " files were to be read, " + current.size() + " came",
          "");
    }
    Map<String, String> present = new HashMap<>();
    for (int i = 0; i < asked.size(); i++) {
      if (current.get(i).getExists()) {
        String file = asked.get(i);
        present.put(
            file.substring(file.lastIndexOf('/') + 1),
            current.get(i).getContent().toString(StandardCharsets.US_ASCII).strip());
      }
    }
    return present;
  }

  private static void checkUsage(Resources resources, Map<String, String> present)
      throws BrigException {
    OptionalLong limit = resources.memory().limit();
    if (!resources.memory().checkBeforeUpdate().orElse(false) || limit.orElse(0) <= 0) {
      return;
    }
    String usage =
        present.getOrDefault("memory.current", present.getOrDefault("memory.usage_in_bytes", "0"));
    if (Long.parseUnsignedLong(usage) > limit.getAsLong()) {
      throw Refusal.host(
          "memory.limit",
          "the container uses " + usage + " bytes, more than the new limit " + limit.getAsLong(),
          "free memory first, or leave checkBeforeUpdate out");
    }
  }

  /** Where memory rises above the present memory+swap, that has to be raised before it. */
  private static void orderMemory(List<Limit> limits, Map<String, String> present) {
    int memory = index(limits, MEMORY_V1);
    int memsw = index(limits, MEMSW_V1);
    if (memory < 0 || memsw < 0) {
      return;
    }
    long newMemory = Long.parseLong(limits.get(memory).value());
    long nowMemsw = Long.parseUnsignedLong(present.getOrDefault(MEMSW_V1, "0"));
    boolean rises = newMemory < 0 || Long.compareUnsigned(newMemory, nowMemsw) > 0;
    if (rises && memory < memsw) {
      Limit swap = limits.remove(memsw);
      limits.add(memory, swap);
    }
  }

  private static int index(List<Limit> limits, String file) {
    for (int i = 0; i < limits.size(); i++) {
      if (limits.get(i).file().equals(file)) {
        return i;
      }
    }
    return -1;
  }

  /** v2 counts swap without memory, so the limit of memory is needed to know what is meant. */
  private static boolean swapAlone(Resources resources) {
    return resources.memory().swap().orElse(0) > 0 && resources.memory().limit().isEmpty();
  }

  /** Only what is given changes, but some of it can't be said without what stands there. */
  private static Resources complete(Resources resources, Map<String, String> present) {
    Resources completed = resources;
    String max = present.get(MEMORY_V2);
    if (max != null && !max.equals("max")) {
      completed =
          completed.withMemory(completed.memory().withLimit(OptionalLong.of(Long.parseLong(max))));
    }
    // Quota and period stand in one file.
    String[] cpu = present.getOrDefault("cpu.max", "").split(" ", -1);
    if (cpu.length == 2) {
      OptionalLong quota = OptionalLong.of(cpu[0].equals("max") ? -1 : Long.parseLong(cpu[0]));
      OptionalLong period = OptionalLong.of(Long.parseLong(cpu[1]));
      CpuLimits asked = completed.cpu();
      completed =
          completed.withCpu(
              asked.withQuota(
                  asked.quota().isPresent() ? asked.quota() : quota,
                  asked.period().isPresent() ? asked.period() : period));
    }
    return completed;
  }
}
