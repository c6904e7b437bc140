package brig.shim.task;

import com.google.protobuf.ByteString;

/**
 * What is known of an exec besides its state.
 *
 * @param process JSON of the OCI process; empty once it has been started
 * @param consoleWidth asked for before the start; 0: not asked
 * @param consoleHeight asked for before the start; 0: not asked
 * @param stdinClosed CloseIO came before the start
 */
public record ExecFacts(
    Streams streams, ByteString process, int consoleWidth, int consoleHeight, boolean stdinClosed) {
  /** What an exec takes besides its description and the paths of its streams. */
  private static final int LEAST_WEIGHT = 256;

  /** About how many bytes a keeper holds of it. */
  long weight() {
    // Its keeper has the paths once for itself and once in the daemon's words.
    long paths = streams.stdin().length() + streams.stdout().length() + streams.stderr().length();
    return LEAST_WEIGHT + process.size() + 2 * paths;
  }

  static ExecFacts added(Streams streams, ByteString process) {
    return new ExecFacts(streams, process, 0, 0, false);
  }

  ExecFacts withConsole(int width, int height) {
    return new ExecFacts(streams, process, width, height, stdinClosed);
  }

  ExecFacts withStdinClosed() {
    return new ExecFacts(streams, process, consoleWidth, consoleHeight, true);
  }

  /** Its start is over; the process's description isn't needed any more. */
  ExecFacts started() {
    return new ExecFacts(streams, ByteString.EMPTY, 0, 0, false);
  }
}
