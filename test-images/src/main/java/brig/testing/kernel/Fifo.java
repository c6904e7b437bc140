package brig.testing.kernel;

import java.nio.file.Path;

/** Named pipes. */
public final class Fifo {

  private Fifo() {}

  public static Path make(Path path) {
    if (Processes.POSIX.mkfifo(path.toString(), 0700) != 0) {
      throw new AssertionError("mkfifo " + path + ": errno " + Processes.POSIX.errno());
    }
    return path;
  }
}
