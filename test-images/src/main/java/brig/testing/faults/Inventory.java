package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;

/** Everything of a containerd's containers that can be left behind on a host, counted by kind. */
public final class Inventory {

  private static final Duration PATIENCE = Duration.ofSeconds(30);

  private Inventory() {}

  /**
   * Keepers, mounts, control groups, files and id ranges, as the kernel and the files show them.
   */
  public static Map<String, List<String>> of(Containerd containerd) {
    Map<String, List<String>> found = new TreeMap<>();
    found.put(
        "processes",
        Processes.whoseCommandLineHas(containerd.address().toString()).stream()
            .filter(pid -> pid != containerd.pid() && pid != ProcessHandle.current().pid())
            .map(Processes::commandLine)
            .toList());
    found.put(
        "mounts", Mounts.beneath(containerd.state()).stream().map(Mounts.Entry::point).toList());
    found.put("control groups", groups());
    found.put("pods' state", children(containerd.brig().run().resolve("pods")));
    found.put("sockets", children(containerd.brig().run().resolveSibling("s")));
    found.put(
        "bundles",
        children(
            containerd
                .state()
                .resolve("io.containerd.runtime.v2.task")
                .resolve(Containerd.NAMESPACE)));
    found.put("ranges of ids", ranges(containerd));
    return found;
  }

  /** Ids that brigd has given to pods or that pods have brought. */
  public static List<String> ranges(Containerd containerd) {
    Path table = containerd.brig().ownRun().resolve("ids");
    if (!Files.exists(table)) {
      return List.of();
    }
    try (Stream<String> lines = Files.lines(table)) {
      return lines.filter(line -> line.matches("(range|booked) .*")).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** What is there beyond what was, once it has had time to go. */
  public static Map<String, List<String>> leftBehind(
      Containerd containerd, Map<String, List<String>> before) {
    Eventually.within(PATIENCE, () -> more(before, of(containerd)).isEmpty());
    return more(before, of(containerd));
  }

  private static Map<String, List<String>> more(
      Map<String, List<String>> before, Map<String, List<String>> after) {
    Map<String, List<String>> more = new TreeMap<>();
    after.forEach((kind, entries) -> {
      List<String> old = before.getOrDefault(kind, List.of());
      List<String> left = entries.stream().filter(entry -> !old.contains(entry)).toList();
      if (!left.isEmpty()) {
        more.put(kind, left);
      }
    });
    return more;
  }

  /** The groups of this run's containers in every hierarchy that is mounted. */
  private static List<String> groups() {
    return Mounts.here().stream()
        .filter(mount -> mount.type().equals("cgroup") || mount.type().equals("cgroup2"))
        .flatMap(mount -> children(Path.of(mount.point()).resolve(Containerd.NAMESPACE)).stream())
        .filter(Names::isOfThisRun)
        .filter(path -> Files.isDirectory(Path.of(path)))
        .toList();
  }

  private static List<String> children(Path directory) {
    if (!Files.isDirectory(directory)) {
      return List.of();
    }
    try (Stream<Path> entries = Files.list(directory)) {
      return entries.map(Path::toString).sorted().toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
