package brig.sandbox.plan;

import brig.sandbox.spec.LinuxSpec;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Paths that a container sees empty or can't write: the spec's, and at least these, whatever the
 * spec leaves out. The floor of each class demands the most important of them once more.
 */
final class HiddenPaths {
  private static final List<String> MASKED =
      List.of(
          // Hardware's tables and the host's sound cards.
          "/proc/acpi",
          "/proc/asound",
          "/proc/scsi",
          // The kernel's memory, its keys, its timers and schedulers: what other processes do.
          "/proc/kcore",
          "/proc/keys",
          "/proc/latency_stats",
          "/proc/timer_list",
          "/proc/timer_stats",
          "/proc/sched_debug",
          // Firmware tables, and energy counters that leak what other cores compute.
          "/sys/firmware",
          "/sys/devices/virtual/powercap");

  private static final List<String> READONLY =
      List.of("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");

  private HiddenPaths() {}

  static Set<String> masked(LinuxSpec linux) {
    return union(linux.maskedPaths(), MASKED);
  }

  static Set<String> readonly(LinuxSpec linux) {
    return union(linux.readonlyPaths(), READONLY);
  }

  private static Set<String> union(List<String> asked, List<String> least) {
    Set<String> all = new LinkedHashSet<>();
    asked.forEach(path -> all.add(InsidePath.normal(path)));
    all.addAll(least);
    return all;
  }
}
