package brig.sandbox.plan;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/** Names of the host's block devices below /dev, as statistics show them; by their numbers. */
public final class BlockDevices {
  /** None is known. */
  public static final BlockDevices NONE = new BlockDevices(Map.of());

  private static final Path PARTITIONS = Path.of("/proc/partitions");

  private record Number(long major, long minor) {}

  private final Map<Number, String> names;

  private BlockDevices(Map<Number, String> names) {
    this.names = Map.copyOf(names);
  }

  /** Those there are now; none where the kernel doesn't say. */
  public static BlockDevices ofHost() {
    try {
      return parse(Files.readString(PARTITIONS, StandardCharsets.UTF_8));
    } catch (IOException e) {
      return NONE;
    }
  }

  /** Lines {@code major minor blocks name} of /proc/partitions, below its heading. */
  static BlockDevices parse(String partitions) {
    Map<Number, String> names = new HashMap<>();
    for (String line : partitions.lines().toList()) {
      String[] words = line.strip().split("\\s+", -1);
      if (words.length == 4 && isNumber(words[0]) && isNumber(words[1])) {
        Number number = new Number(Long.parseLong(words[0]), Long.parseLong(words[1]));
        // The kernel writes a slash of a name as an exclamation mark.
        names.putIfAbsent(number, "/dev/" + words[3].replace('!', '/'));
      }
    }
    return new BlockDevices(names);
  }

  /** Path of the device's node; empty where it isn't known. */
  String name(long major, long minor) {
    return names.getOrDefault(new Number(major, minor), "");
  }

  private static boolean isNumber(String word) {
    return word.length() <= 10
        && !word.isEmpty()
        && word.chars().allMatch(c -> c >= '0' && c <= '9');
  }
}
