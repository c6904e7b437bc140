package brig.shim.command;

import brig.proto.state.ReadBack;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * What {@code /proc} says of one process at this moment.
 *
 * <p>The process is named by pid and start time, so that another one that got its pid later isn't
 * taken for it: the start time is looked at before and after the reading.
 *
 * @param status lines of {@code status} by name
 * @param namespaces by name of the link in {@code ns}: its identity, as {@code pid:[4026531836]}
 * @param label of the security module that has one for it, or empty
 */
record ProcessView(
    Map<String, String> status,
    String uidMap,
    String gidMap,
    Map<String, String> namespaces,
    String label) {
  private static final String[] NAMESPACES = {
    "user", "mnt", "pid", "net", "ipc", "uts", "cgroup", "time"
  };

  ProcessView {
    status = Map.copyOf(status);
    namespaces = Map.copyOf(namespaces);
  }

  /** Empty where the process is gone. */
  static Optional<ProcessView> read(int pid, long startTime) {
    Path directory = Path.of("/proc", Integer.toString(pid));
    if (!startTimeOf(directory).equals(Optional.of(startTime))) {
      return Optional.empty();
    }
    ProcessView view =
        new ProcessView(
            fields(text(directory.resolve("status"))),
            maps(text(directory.resolve("uid_map"))),
            maps(text(directory.resolve("gid_map"))),
            namespaces(directory),
            text(directory.resolve("attr/current")).replace("\0", "").strip());
    return startTimeOf(directory).equals(Optional.of(startTime))
        ? Optional.of(view)
        : Optional.empty();
  }

  /**
   * What was read of a process that has ended since, when its program began or else just before.
   */
  static ProcessView of(ReadBack readBack) {
    String after = readBack.getAfterExecStatus();
    return new ProcessView(
        fields(after.isEmpty() ? readBack.getStatus() : after),
        maps(readBack.getUidMap()),
        maps(readBack.getGidMap()),
        readBack.getNamespacesMap(),
        readBack.getLabel());
  }

  /** The namespaces of this process, which are taken for the host's. */
  static Map<String, String> ownNamespaces() {
    return namespaces(Path.of("/proc/self"));
  }

  /** Field 22 of {@code stat}; the second field, in parentheses, may contain anything. */
  private static Optional<Long> startTimeOf(Path directory) {
    String stat = text(directory.resolve("stat"));
    int end = stat.lastIndexOf(')');
    String[] rest = stat.substring(end + 1).strip().split(" ");
    return end < 0 || rest.length < 20 ? Optional.empty() : Optional.of(Long.parseLong(rest[19]));
  }

  private static Map<String, String> fields(String status) {
    Map<String, String> fields = new LinkedHashMap<>();
    for (String line : status.split("\n")) {
      int colon = line.indexOf(':');
      if (colon > 0) {
        fields.put(line.substring(0, colon), line.substring(colon + 1).strip());
      }
    }
    return fields;
  }

  private static String maps(String text) {
    return String.join(
        "\n", text.lines().map(line -> line.strip().replaceAll("\\s+", " ")).toList());
  }

  private static Map<String, String> namespaces(Path directory) {
    Map<String, String> namespaces = new LinkedHashMap<>();
    for (String name : NAMESPACES) {
      try {
        Path link = Files.readSymbolicLink(directory.resolve("ns").resolve(name));
        namespaces.put(name, link.toString());
      } catch (IOException e) {
        // This kernel has none of the kind, or the process is gone, which its start time will tell.
      }
    }
    return namespaces;
  }

  /** What a file says, or nothing. */
  static String text(Path file) {
    try {
      return new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "";
    }
  }
}
