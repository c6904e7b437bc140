package brig.shim.daemon;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/** Processes by pid and start time, which name one for good. */
final class Processes {
  private Processes() {}

  /**
   * @param startTime field 22 of {@code /proc/<pid>/stat}
   */
  static boolean isAlive(int pid, long startTime) {
    if (pid <= 0) {
      return false;
    }
    String stat;
    try {
      Path file = Path.of("/proc", Integer.toString(pid), "stat");
      stat = new String(Files.readAllBytes(file), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return false;
    }
    // The second field, the program's name in parentheses, may contain anything.
    String[] rest = stat.substring(stat.lastIndexOf(')') + 1).strip().split(" ", -1);
    boolean isZombie = rest[0].equals("Z") || rest[0].equals("X");
    return !isZombie && rest.length > 19 && rest[19].equals(Long.toUnsignedString(startTime));
  }
}
