package brig.testing.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What the kernel says about one process. */
public record Proc(int pid) {

  /** One line of a uid_map or gid_map. */
  public record Mapping(long inside, long outside, long length) {

    public boolean overlaps(Mapping other) {
      return outside < other.outside + other.length && other.outside < outside + length;
    }
  }

  /** The fields of {@code status}. */
  public Map<String, String> status() {
    Map<String, String> fields = new TreeMap<>();
    for (String line : read("status").lines().toList()) {
      int colon = line.indexOf(':');
      fields.put(line.substring(0, colon), line.substring(colon + 1).trim());
    }
    return fields;
  }

  public String status(String field) {
    String value = status().get(field);
    if (value == null) {
      throw new AssertionError("no field " + field + " in status of " + pid);
    }
    return value;
  }

  /** A capability set: CapInh, CapPrm, CapEff, CapBnd or CapAmb. */
  public long capabilities(String set) {
    return Long.parseUnsignedLong(status(set), 16);
  }

  public List<Mapping> uidMap() {
    return mapping("uid_map");
  }

  public List<Mapping> gidMap() {
    return mapping("gid_map");
  }

  /** The identity of a namespace, as {@code pid:[4026531836]}. */
  public String namespace(String kind) {
    try {
      return Files.readSymbolicLink(path("ns/" + kind)).toString();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public boolean sharesWithHost(String kind) {
    return namespace(kind).equals(new Proc(Processes.POSIX.getpid()).namespace(kind));
  }

  public List<Mounts.Entry> mounts() {
    return Mounts.parse(read("mountinfo"));
  }

  /** Cgroup v1: controller to path; the unified hierarchy has the empty name. */
  public Map<String, String> cgroups() {
    Map<String, String> paths = new TreeMap<>();
    for (String line : read("cgroup").lines().toList()) {
      String[] parts = line.split(":", 3);
      for (String controller : parts[1].split(",")) {
        paths.put(controller, parts[2]);
      }
    }
    return paths;
  }

  public String read(String file) {
    try {
      return Files.readString(path(file));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A path through the process's own root, as its mount namespace shows it. */
  public Path root(String inside) {
    return path("root" + inside);
  }

  public Path path(String file) {
    return Path.of("/proc", Integer.toString(pid), file);
  }

  /** Where its open descriptors lead. */
  public Map<Integer, String> descriptors() {
    Map<Integer, String> found = new TreeMap<>();
    try (var entries = Files.list(path("fd"))) {
      for (Path entry : entries.toList()) {
        found.put(
            Integer.parseInt(entry.getFileName().toString()),
            Files.readSymbolicLink(entry).toString());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return found;
  }

  private List<Mapping> mapping(String file) {
    List<Mapping> lines = new ArrayList<>();
    for (String line : read(file).lines().toList()) {
      String[] numbers = line.trim().split("\\s+");
      lines.add(
          new Mapping(
              Long.parseLong(numbers[0]), Long.parseLong(numbers[1]), Long.parseLong(numbers[2])));
    }
    return lines;
  }
}
