package brig.sandbox.plan;

import brig.proto.plan.CgroupDir;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** Statistics of cgroup v1 hierarchies. */
final class StatsV1 {
  /** cpuacct.stat counts in USER_HZ, which is 100 to every program. */
  private static final long NANOS_PER_TICK = 10_000_000;

  private static final String BFQ = "blkio.bfq.";
  private static final String THROTTLE = "blkio.throttle.";

  private static final List<String> BLKIO =
      List.of(
          "io_service_bytes_recursive",
          "io_serviced_recursive",
          "io_queued_recursive",
          "io_service_time_recursive",
          "io_wait_time_recursive",
          "io_merged_recursive",
          "time_recursive",
          "sectors_recursive");

  /** What block devices without the BFQ scheduler count as well. */
  private static final List<String> BLKIO_THROTTLE = BLKIO.subList(0, 2);

  private static final List<String> MEMORY_KINDS = List.of("", "memsw.", "kmem.", "kmem.tcp.");

  private StatsV1() {}

  static List<String> files(List<CgroupDir> dirs) {
    List<String> files = new ArrayList<>();
    add(files, dirs, "pids", List.of("pids.current", "pids.max"));
    add(files, dirs, "cpu", List.of("cpu.stat"));
    add(files, dirs, "cpuacct", List.of("cpuacct.usage", "cpuacct.stat", "cpuacct.usage_percpu"));
    List<String> memory = new ArrayList<>(List.of("memory.stat", "memory.oom_control"));
    for (String kind : MEMORY_KINDS) {
      for (String what :
          List.of("limit_in_bytes", "usage_in_bytes", "max_usage_in_bytes", "failcnt")) {
        memory.add("memory." + kind + what);
      }
    }
    add(files, dirs, "memory", memory);
    List<String> blkio = new ArrayList<>();
    BLKIO.forEach(name -> blkio.add(BFQ + name));
    BLKIO_THROTTLE.forEach(name -> blkio.add(THROTTLE + name));
    add(files, dirs, "blkio", blkio);
    List<String> hugetlb = new ArrayList<>();
    for (String size : HugePages.SIZES) {
      for (String what : List.of("usage_in_bytes", "max_usage_in_bytes", "failcnt")) {
        hugetlb.add("hugetlb." + size + "." + what);
      }
    }
    add(files, dirs, "hugetlb", hugetlb);
    add(files, dirs, "rdma", List.of("rdma.current", "rdma.max"));
    return files;
  }

  private static void add(
      List<String> files, List<CgroupDir> dirs, String controller, List<String> names) {
    directory(dirs, controller)
        .ifPresent(directory -> names.forEach(name -> files.add(directory + "/" + name)));
  }

  private static Optional<String> directory(List<CgroupDir> dirs, String controller) {
    return CgroupTree.find(dirs, controller).filter(dir -> !dir.getV2()).map(CgroupTree::absolute);
  }

  static MetricsV1 parse(List<CgroupDir> dirs, CgroupFiles files, BlockDevices devices) {
    return new MetricsV1(
        directory(dirs, "hugetlb").map(d -> hugetlb(d, files)).orElse(List.of()),
        directory(dirs, "pids")
            .map(d ->
                new MetricsV1.Pids(
                    files.number(d + "/pids.current"), files.number(d + "/pids.max"))),
        directory(dirs, "cpuacct").map(d -> cpu(d, directory(dirs, "cpu").orElse(d), files)),
        directory(dirs, "memory").map(d -> memory(d, files)),
        directory(dirs, "blkio").map(d -> blkio(d, files, devices)),
        directory(dirs, "rdma").map(d -> Rdma.parse(d, files)),
        directory(dirs, "memory").map(d -> oom(d, files)));
  }

  private static List<MetricsV1.Hugetlb> hugetlb(String directory, CgroupFiles files) {
    List<MetricsV1.Hugetlb> all = new ArrayList<>();
    for (String size : HugePages.SIZES) {
      String file = directory + "/hugetlb." + size + ".";
      if (files.exists(file + "usage_in_bytes")) {
        all.add(
            new MetricsV1.Hugetlb(
                files.number(file + "usage_in_bytes"),
                files.number(file + "max_usage_in_bytes"),
                files.number(file + "failcnt"),
                size));
      }
    }
    return all;
  }

  private static MetricsV1.Cpu cpu(String cpuacct, String cpu, CgroupFiles files) {
    Map<String, Long> ticks = files.table(cpuacct + "/cpuacct.stat");
    Map<String, Long> throttling = files.table(cpu + "/cpu.stat");
    List<Long> perCpu = new ArrayList<>();
    for (String word : files.text(cpuacct + "/cpuacct.usage_percpu").strip().split(" ", -1)) {
      if (!word.isEmpty()) {
        perCpu.add(CgroupFiles.number(Optional.of(word)));
      }
    }
    return new MetricsV1.Cpu(
        files.number(cpuacct + "/cpuacct.usage"),
        ticks.getOrDefault("system", 0L) * NANOS_PER_TICK,
        ticks.getOrDefault("user", 0L) * NANOS_PER_TICK,
        perCpu,
        throttling.getOrDefault("nr_periods", 0L),
        throttling.getOrDefault("nr_throttled", 0L),
        throttling.getOrDefault("throttled_time", 0L));
  }

  private static MetricsV1.Memory memory(String directory, CgroupFiles files) {
    Map<String, Long> stat = files.table(directory + "/memory.stat");
    return new MetricsV1.Memory(
        get(stat, "cache"),
        get(stat, "rss"),
        get(stat, "rss_huge"),
        get(stat, "mapped_file"),
        get(stat, "dirty"),
        get(stat, "writeback"),
        get(stat, "pgpgin"),
        get(stat, "pgpgout"),
        get(stat, "pgfault"),
        get(stat, "pgmajfault"),
        get(stat, "inactive_anon"),
        get(stat, "active_anon"),
        get(stat, "inactive_file"),
        get(stat, "active_file"),
        get(stat, "unevictable"),
        get(stat, "hierarchical_memory_limit"),
        get(stat, "hierarchical_memsw_limit"),
        get(stat, "total_cache"),
        get(stat, "total_rss"),
        get(stat, "total_rss_huge"),
        get(stat, "total_mapped_file"),
        get(stat, "total_dirty"),
        get(stat, "total_writeback"),
        get(stat, "total_pgpgin"),
        get(stat, "total_pgpgout"),
        get(stat, "total_pgfault"),
        get(stat, "total_pgmajfault"),
        get(stat, "total_inactive_anon"),
        get(stat, "total_active_anon"),
        get(stat, "total_inactive_file"),
        get(stat, "total_active_file"),
        get(stat, "total_unevictable"),
        entry(directory, "", files),
        entry(directory, "memsw.", files),
        entry(directory, "kmem.", files),
        entry(directory, "kmem.tcp.", files));
  }

  private static MetricsV1.MemoryEntry entry(String directory, String kind, CgroupFiles files) {
    String file = directory + "/memory." + kind;
    return new MetricsV1.MemoryEntry(
        // No limit must not look like a limit of nothing.
        files.exists(file + "limit_in_bytes")
            ? files.number(file + "limit_in_bytes")
            : CgroupFiles.UNLIMITED,
        files.number(file + "usage_in_bytes"),
        files.number(file + "max_usage_in_bytes"),
        files.number(file + "failcnt"));
  }

  private static MetricsV1.OomControl oom(String directory, CgroupFiles files) {
    Map<String, Long> control = files.table(directory + "/memory.oom_control");
    return new MetricsV1.OomControl(
        get(control, "oom_kill_disable"), get(control, "under_oom"), get(control, "oom_kill"));
  }

  private static MetricsV1.BlkIo blkio(String directory, CgroupFiles files, BlockDevices devices) {
    List<List<MetricsV1.BlkIoEntry>> all = new ArrayList<>();
    for (String name : BLKIO) {
      List<MetricsV1.BlkIoEntry> entries =
          entries(files.lines(directory + "/" + BFQ + name), devices);
      if (entries.isEmpty() && BLKIO_THROTTLE.contains(name)) {
        entries = entries(files.lines(directory + "/" + THROTTLE + name), devices);
      }
      all.add(entries);
    }
    return new MetricsV1.BlkIo(
        all.get(0),
        all.get(1),
        all.get(2),
        all.get(3),
        all.get(4),
        all.get(5),
        all.get(6),
        all.get(7));
  }

  /** Lines {@code major:minor [operation] value}; the sum at the end has no device. */
  private static List<MetricsV1.BlkIoEntry> entries(List<String> lines, BlockDevices devices) {
    List<MetricsV1.BlkIoEntry> entries = new ArrayList<>();
    for (String line : lines) {
      String[] words = line.split(" ", -1);
      int colon = words[0].indexOf(':');
      if (colon > 0 && (words.length == 2 || words.length == 3)) {
        long major = CgroupFiles.number(Optional.of(words[0].substring(0, colon)));
        long minor = CgroupFiles.number(Optional.of(words[0].substring(colon + 1)));
        entries.add(
            new MetricsV1.BlkIoEntry(
                words.length == 3 ? words[1] : "",
                devices.name(major, minor),
                major,
                minor,
                CgroupFiles.number(Optional.of(words[words.length - 1]))));
      }
    }
    return entries;
  }

  private static long get(Map<String, Long> table, String name) {
    return table.getOrDefault(name, 0L);
  }
}
