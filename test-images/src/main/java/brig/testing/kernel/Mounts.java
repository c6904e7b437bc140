package brig.testing.kernel;

import brig.testing.Command;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The mount table, as {@code mountinfo} shows it. */
public final class Mounts {

  /** One mount. */
  public record Entry(
      String root,
      String point,
      List<String> options,
      List<String> optional,
      String type,
      String source,
      List<String> superOptions) {

    public boolean has(String option) {
      return options.contains(option);
    }

    public boolean sharesPeers() {
      return optional.stream().anyMatch(field -> field.startsWith("shared:"));
    }
  }

  private Mounts() {}

  /** Those of this process's own namespace: the host's. */
  public static List<Entry> here() {
    try {
      return parse(Files.readString(Path.of("/proc/self/mountinfo")));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static List<Entry> beneath(Path directory) {
    String prefix = directory + "/";
    return here().stream().filter(entry -> entry.point().startsWith(prefix)).toList();
  }

  /** Takes off, lazily and from the top, whatever is mounted beneath a directory. */
  public static void unmountBeneath(Path directory) {
    for (Entry entry : beneath(directory).reversed()) {
      Command.of("umount", "-l", entry.point()).run();
    }
  }

  static List<Entry> parse(String mountinfo) {
    List<Entry> entries = new ArrayList<>();
    for (String line : mountinfo.lines().toList()) {
      String[] fields = line.split(" ");
      int separator = Arrays.asList(fields).indexOf("-");
      entries.add(
          new Entry(
              unescape(fields[3]),
              unescape(fields[4]),
              List.of(fields[5].split(",")),
              List.of(Arrays.copyOfRange(fields, 6, separator)),
              fields[separator + 1],
              unescape(fields[separator + 2]),
              List.of(fields[separator + 3].split(","))));
    }
    return entries;
  }

  /** mountinfo writes blanks and the like as three octal digits. */
  private static String unescape(String field) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < field.length(); i++) {
      if (field.charAt(i) == '\\' && i + 3 < field.length()) {
        text.append((char) Integer.parseInt(field.substring(i + 1, i + 4), 8));
        i += 3;
      } else {
        text.append(field.charAt(i));
      }
    }
    return text.toString();
  }
}
