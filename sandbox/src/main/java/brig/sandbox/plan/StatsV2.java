package brig.sandbox.plan;

import brig.proto.plan.CgroupDir;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Statistics of the cgroup v2 tree. */
final class StatsV2 {
  private static final List<String> FILES =
      List.of(
          "pids.current",
          "pids.max",
          "cpu.stat",
          "cpu.pressure",
          "memory.stat",
          "memory.current",
          "memory.max",
          "memory.peak",
          "memory.swap.current",
          "memory.swap.max",
          "memory.swap.peak",
          "memory.pressure",
          "memory.events",
          "io.stat",
          "io.pressure",
          "rdma.current",
          "rdma.max");

  private StatsV2() {}

  static List<String> files(List<CgroupDir> dirs) {
    List<String> files = new ArrayList<>();
    CgroupTree.v2(dirs)
        .map(CgroupTree::absolute)
        .ifPresent(directory -> {
          FILES.forEach(name -> files.add(directory + "/" + name));
          for (String size : HugePages.SIZES) {
            for (String what : List.of("current", "max", "events")) {
              files.add(directory + "/hugetlb." + size + "." + what);
            }
          }
        });
    return files;
  }

  static MetricsV2 parse(List<CgroupDir> dirs, CgroupFiles files) {
    String directory = CgroupTree.v2(dirs).map(CgroupTree::absolute).orElse("") + "/";
    return new MetricsV2(
        present(files, directory + "pids.current")
            .map(file ->
                new MetricsV2.Pids(files.number(file), files.number(directory + "pids.max"))),
        present(files, directory + "cpu.stat").map(file -> cpu(directory, files)),
        present(files, directory + "memory.current").map(file -> memory(directory, files)),
        present(files, directory + "rdma.current")
            .map(file -> Rdma.parse(directory.substring(0, directory.length() - 1), files)),
        present(files, directory + "io.stat").map(file -> io(directory, files)),
        hugetlb(directory, files),
        present(files, directory + "memory.events").map(file -> events(file, files)));
  }

  private static Optional<String> present(CgroupFiles files, String path) {
    return files.exists(path) ? Optional.of(path) : Optional.empty();
  }

  private static MetricsV2.Cpu cpu(String directory, CgroupFiles files) {
    Map<String, Long> stat = files.table(directory + "cpu.stat");
    return new MetricsV2.Cpu(
        get(stat, "usage_usec"),
        get(stat, "user_usec"),
        get(stat, "system_usec"),
        get(stat, "nr_periods"),
        get(stat, "nr_throttled"),
        get(stat, "throttled_usec"),
        psi(directory + "cpu.pressure", files),
        get(stat, "nr_bursts"),
        get(stat, "burst_usec"));
  }

  private static MetricsV2.Memory memory(String directory, CgroupFiles files) {
    Map<String, Long> stat = files.table(directory + "memory.stat");
    return new MetricsV2.Memory(
        get(stat, "anon"),
        get(stat, "file"),
        get(stat, "kernel_stack"),
        get(stat, "slab"),
        get(stat, "sock"),
        get(stat, "shmem"),
        get(stat, "file_mapped"),
        get(stat, "file_dirty"),
        get(stat, "file_writeback"),
        get(stat, "anon_thp"),
        get(stat, "inactive_anon"),
        get(stat, "active_anon"),
        get(stat, "inactive_file"),
        get(stat, "active_file"),
        get(stat, "unevictable"),
        get(stat, "slab_reclaimable"),
        get(stat, "slab_unreclaimable"),
        get(stat, "pgfault"),
        get(stat, "pgmajfault"),
        sum(stat, "workingset_refault"),
        sum(stat, "workingset_activate"),
        get(stat, "workingset_nodereclaim"),
        get(stat, "pgrefill"),
        get(stat, "pgscan"),
        get(stat, "pgsteal"),
        get(stat, "pgactivate"),
        get(stat, "pgdeactivate"),
        get(stat, "pglazyfree"),
        get(stat, "pglazyfreed"),
        get(stat, "thp_fault_alloc"),
        get(stat, "thp_collapse_alloc"),
        files.number(directory + "memory.current"),
        limit(directory + "memory.max", files),
        files.number(directory + "memory.swap.current"),
        limit(directory + "memory.swap.max", files),
        files.number(directory + "memory.peak"),
        files.number(directory + "memory.swap.peak"),
        psi(directory + "memory.pressure", files));
  }

  /** No limit must not look like a limit of nothing. */
  private static long limit(String file, CgroupFiles files) {
    return files.exists(file) ? files.number(file) : CgroupFiles.UNLIMITED;
  }

  private static MetricsV2.MemoryEvents events(String file, CgroupFiles files) {
    Map<String, Long> events = files.table(file);
    return new MetricsV2.MemoryEvents(
        get(events, "low"),
        get(events, "high"),
        get(events, "max"),
        get(events, "oom"),
        get(events, "oom_kill"),
        get(events, "oom_group_kill"));
  }

  /** Lines {@code major:minor rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6}. */
  private static MetricsV2.Io io(String directory, CgroupFiles files) {
    List<MetricsV2.IoEntry> entries = new ArrayList<>();
    for (String line : files.lines(directory + "io.stat")) {
      int colon = line.indexOf(':');
      int space = line.indexOf(' ');
      if (colon > 0 && space > colon) {
        Map<String, String> fields = CgroupFiles.fields(line);
        entries.add(
            new MetricsV2.IoEntry(
                CgroupFiles.number(Optional.of(line.substring(0, colon))),
                CgroupFiles.number(Optional.of(line.substring(colon + 1, space))),
                field(fields, "rbytes"),
                field(fields, "wbytes"),
                field(fields, "rios"),
                field(fields, "wios")));
      }
    }
    return new MetricsV2.Io(entries, psi(directory + "io.pressure", files));
  }

  private static List<MetricsV2.Hugetlb> hugetlb(String directory, CgroupFiles files) {
    List<MetricsV2.Hugetlb> all = new ArrayList<>();
    for (String size : HugePages.SIZES) {
      String file = directory + "hugetlb." + size + ".";
      if (files.exists(file + "current")) {
        all.add(
            new MetricsV2.Hugetlb(
                files.number(file + "current"),
                files.number(file + "max"),
                size,
                get(files.table(file + "events"), "max")));
      }
    }
    return all;
  }

  /** Lines {@code some avg10=0.00 avg60=0.00 avg300=0.00 total=0} and {@code full ...}. */
  private static Optional<MetricsV2.Psi> psi(String file, CgroupFiles files) {
    if (!files.exists(file)) {
      return Optional.empty();
    }
    MetricsV2.PsiData some = new MetricsV2.PsiData(0, 0, 0, 0);
    MetricsV2.PsiData full = some;
    for (String line : files.lines(file)) {
      Map<String, String> fields = CgroupFiles.fields(line);
      MetricsV2.PsiData data =
          new MetricsV2.PsiData(
              share(fields, "avg10"),
              share(fields, "avg60"),
              share(fields, "avg300"),
              field(fields, "total"));
      if (line.startsWith("some ")) {
        some = data;
      } else if (line.startsWith("full ")) {
        full = data;
      }
    }
    return Optional.of(new MetricsV2.Psi(some, full));
  }

  private static double share(Map<String, String> fields, String name) {
    try {
      return Double.parseDouble(fields.getOrDefault(name, "0"));
    } catch (NumberFormatException e) {
      return 0;
    }
  }

  private static long field(Map<String, String> fields, String name) {
    return CgroupFiles.number(Optional.ofNullable(fields.get(name)));
  }

  /** Counted for anonymous memory and files apart since Linux 5.9. */
  private static long sum(Map<String, Long> stat, String name) {
    return stat.containsKey(name)
        ? get(stat, name)
        : get(stat, name + "_anon") + get(stat, name + "_file");
  }

  private static long get(Map<String, Long> table, String name) {
    return table.getOrDefault(name, 0L);
  }
}
