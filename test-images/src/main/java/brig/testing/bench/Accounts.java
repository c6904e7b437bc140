package brig.testing.bench;

import brig.testing.Containerd;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Proc;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;

/**
 * The kernel's books of processor time, kept by control group: a group of our own that containerd
 * and what it starts live in, the parent of all containers, and wherever Brig's processes go. What
 * a group has used stays in the sums of its parents when it is removed.
 *
 * <p>Not in these books are the client and work that the kernel's own threads do later.
 */
final class Accounts implements AutoCloseable {

  private static final double NANOS_PER_MILLI = 1e6;
  private static final double MICROS_PER_MILLI = 1e3;

  private final Path hierarchy;
  private final boolean v2;
  private final Path own;
  private final Set<Path> groups = new TreeSet<>();

  private Accounts(Path hierarchy, boolean v2) {
    this.hierarchy = hierarchy;
    this.v2 = v2;
    this.own = hierarchy.resolve("brig-bench-" + ProcessHandle.current().pid());
  }

  /**
   * Opens the books: containerd goes into a group of its own, and so does all that it will start.
   */
  static Accounts open(Containerd containerd) {
    Accounts accounts =
        Mounts.here().stream()
            .filter(mount -> mount.type().equals("cgroup"))
            .filter(mount -> mount.superOptions().contains("cpuacct"))
            .map(mount -> new Accounts(Path.of(mount.point()), false))
            .findFirst()
            .or(() ->
                Mounts.here().stream()
                    .filter(mount -> mount.type().equals("cgroup2"))
                    .map(mount -> new Accounts(Path.of(mount.point()), true))
                    .findFirst())
            .orElseThrow(() -> new IllegalStateException("no control groups are mounted"));
    try {
      Files.createDirectory(accounts.own);
      Files.writeString(accounts.own.resolve("cgroup.procs"), Long.toString(containerd.pid()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    accounts.groups.add(accounts.own);
    accounts.groups.add(accounts.hierarchy.resolve(Containerd.NAMESPACE));
    return accounts;
  }

  /** Adds the topmost group that a process is in. */
  void include(int pid) {
    String path = new Proc(pid).cgroups().getOrDefault(v2 ? "" : "cpuacct", "/");
    Path top = Path.of(path);
    if (top.getNameCount() == 0) {
      throw new IllegalStateException(
          "process " + pid + " is in the root group, whose sum is the whole machine's");
    }
    groups.add(hierarchy.resolve(top.getName(0)));
  }

  /** Processor time that all of them have used so far, in milliseconds. */
  double millis() {
    double sum = 0;
    for (Path group : groups) {
      if (Files.isDirectory(group)) {
        sum += millis(group);
      }
    }
    return sum;
  }

  private double millis(Path group) {
    try {
      if (!v2) {
        return Double.parseDouble(Files.readString(group.resolve("cpuacct.usage")).trim())
            / NANOS_PER_MILLI;
      }
      return Files.readString(group.resolve("cpu.stat"))
          .lines()
          .filter(line -> line.startsWith("usage_usec "))
          .mapToDouble(line -> Double.parseDouble(line.split(" ")[1]) / MICROS_PER_MILLI)
          .sum();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Removes the group, which is empty once containerd has ended. */
  @Override
  public void close() {
    try {
      Files.deleteIfExists(own);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
