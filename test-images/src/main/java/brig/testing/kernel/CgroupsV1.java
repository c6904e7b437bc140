package brig.testing.kernel;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;

/**
 * Files of the v1 control groups that a process is in, found through its {@code /proc/<pid>/cgroup}
 * and the mount table.
 */
public record CgroupsV1(Proc process) {

  public static CgroupsV1 of(int pid) {
    return new CgroupsV1(new Proc(pid));
  }

  /** The directory of the process's group in a controller's hierarchy. */
  public Path directory(String controller) {
    String path =
        Optional.ofNullable(process.cgroups().get(controller))
            .orElseThrow(() -> new AssertionError("no controller " + controller));
    return mountPoint(controller).resolve(path.substring(1));
  }

  public String read(String controller, String file) {
    return read(directory(controller).resolve(file));
  }

  /** A file that holds one number. */
  public long number(String controller, String file) {
    return Long.parseLong(read(controller, file));
  }

  public static long number(Path file) {
    return Long.parseLong(read(file));
  }

  private static String read(Path file) {
    try {
      return Files.readString(file).trim();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public static Path mountPoint(String controller) {
    return Mounts.here().stream()
        .filter(entry -> entry.type().equals("cgroup"))
        .filter(entry -> entry.superOptions().contains(controller))
        .map(entry -> Path.of(entry.point()))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no hierarchy of " + controller + " is mounted"));
  }
}
