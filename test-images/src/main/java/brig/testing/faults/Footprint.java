package brig.testing.faults;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.kernel.Proc;
import java.nio.file.Path;
import java.util.List;

/**
 * What Brig takes of a host at one moment, as the kernel and the file system say it. Memory is in
 * kB, files in number.
 *
 * @param keepers of some pods that live all the time, together
 */
record Footprint(
    Memory daemon,
    Memory keepers,
    long processes,
    long mounts,
    long groups,
    long files,
    long kilobytes,
    long ranges) {

  /** One or more processes. */
  record Memory(long rss, long pss, long threads, long descriptors) {

    static Memory of(List<Integer> pids) {
      Memory sum = new Memory(0, 0, 0, 0);
      for (int pid : pids) {
        sum = sum.plus(of(new Proc(pid)));
      }
      return sum;
    }

    private static Memory of(Proc process) {
      return new Memory(
          rollup(process, "Rss:"),
          rollup(process, "Pss:"),
          Long.parseLong(process.status("Threads")),
          process.descriptors().size());
    }

    private static long rollup(Proc process, String field) {
      return process
          .read("smaps_rollup")
          .lines()
          .filter(line -> line.startsWith(field))
          .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")))
          .findFirst()
          .orElseThrow(() -> new AssertionError("no " + field + " in smaps_rollup"));
    }

    private Memory plus(Memory other) {
      return new Memory(
          rss + other.rss,
          pss + other.pss,
          threads + other.threads,
          descriptors + other.descriptors);
    }
  }

  static Footprint of(Containerd containerd, List<Integer> keepers) {
    var inventory = Inventory.of(containerd);
    Path run = containerd.brig().run();
    int daemon = containerd.brig().pid().orElseThrow(() -> new AssertionError("brigd doesn't run"));
    // Not by hand: files go while one looks at them. Beside the run directory are the pods'
    // sockets.
    List<String> sizes =
        Command.of("find", run.resolve("..").toString(), "-printf", "%s\\n")
            .run()
            .stdout()
            .lines()
            .toList();
    return new Footprint(
        Memory.of(List.of(daemon)),
        Memory.of(keepers),
        inventory.getOrDefault("processes", List.of()).size(),
        inventory.getOrDefault("mounts", List.of()).size(),
        inventory.getOrDefault("control groups", List.of()).size(),
        sizes.size(),
        sizes.stream().mapToLong(Long::parseLong).sum() / 1024,
        inventory.getOrDefault("ranges of ids", List.of()).size());
  }
}
