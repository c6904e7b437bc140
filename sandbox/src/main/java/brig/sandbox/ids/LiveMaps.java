package brig.sandbox.ids;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** Host ids that some living process's user namespace maps, as /proc shows them now. */
final class LiveMaps {
  /** A process in the initial user namespace maps everything. */
  private static final long WHOLE = 0xffff_ffffL;

  private LiveMaps() {}

  /** Processes that end meanwhile, or may not be looked at, are passed over. */
  static List<HostIds> scan(Path proc) {
    Set<HostIds> all = new LinkedHashSet<>();
    try (DirectoryStream<Path> processes = Files.newDirectoryStream(proc, "[0-9]*")) {
      for (Path process : processes) {
        read(process.resolve("uid_map"), all);
        read(process.resolve("gid_map"), all);
      }
    } catch (IOException | DirectoryIteratorException e) {
      return List.copyOf(all);
    }
    return List.copyOf(all);
  }

  private static void read(Path map, Set<HostIds> all) {
    String text;
    try {
      text = Files.readString(map, StandardCharsets.US_ASCII);
    } catch (IOException e) {
      return;
    }
    for (String line : text.split("\n", -1)) {
      String[] numbers = line.strip().split(" +", -1);
      if (numbers.length == 3) {
        HostIds ids = new HostIds(Long.parseLong(numbers[1]), Long.parseLong(numbers[2]));
        if (ids.size() < WHOLE) {
          all.add(ids);
        }
      }
    }
  }
}
