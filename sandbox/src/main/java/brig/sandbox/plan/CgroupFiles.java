package brig.sandbox.plan;

import brig.proto.keeper.FileContent;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Contents of cgroup files, by their paths. Numbers are unsigned; "max" is all bits set. What isn't
 * there, or isn't what it should be, counts as 0: statistics are never a reason to fail.
 */
final class CgroupFiles {
  static final long UNLIMITED = -1;

  private final Map<String, String> contents = new HashMap<>();

  CgroupFiles(List<String> paths, List<FileContent> files) {
    for (int i = 0; i < Math.min(paths.size(), files.size()); i++) {
      if (files.get(i).getExists()) {
        contents.put(paths.get(i), files.get(i).getContent().toStringUtf8());
      }
    }
  }

  boolean exists(String path) {
    return contents.containsKey(path);
  }

  String text(String path) {
    return contents.getOrDefault(path, "");
  }

  List<String> lines(String path) {
    return text(path).lines().toList();
  }

  /** The one number that a file consists of. */
  long number(String path) {
    return number(Optional.of(text(path)));
  }

  /** A file of lines {@code name value}. */
  Map<String, Long> table(String path) {
    Map<String, Long> table = new HashMap<>();
    for (String line : lines(path)) {
      int space = line.indexOf(' ');
      if (space > 0) {
        table.put(line.substring(0, space), number(Optional.of(line.substring(space + 1))));
      }
    }
    return table;
  }

  /** Fields {@code name=value} of a line, from its second word on. */
  static Map<String, String> fields(String line) {
    Map<String, String> fields = new HashMap<>();
    for (String word : line.split(" ", -1)) {
      int equals = word.indexOf('=');
      if (equals > 0) {
        fields.put(word.substring(0, equals), word.substring(equals + 1));
      }
    }
    return fields;
  }

  static long number(Optional<String> text) {
    String digits = text.orElse("").strip();
    if (digits.equals("max")) {
      return UNLIMITED;
    }
    try {
      return Long.parseUnsignedLong(digits);
    } catch (NumberFormatException e) {
      return 0;
    }
  }
}
