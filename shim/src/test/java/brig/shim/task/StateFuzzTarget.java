package brig.shim.task;

import com.google.protobuf.ByteString;

/** A container's stored state: what is read is written and read as the same. */
public final class StateFuzzTarget {
  private StateFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    ContainerState state;
    try {
      state = StateCodec.decode("c", ByteString.copyFrom(bytes));
    } catch (StateException refused) {
      return;
    }
    try {
      if (!StateCodec.decode("c", StateCodec.encode(state)).equals(state)) {
        throw new IllegalStateException("another state after writing it: " + state);
      }
    } catch (StateException e) {
      throw new IllegalStateException("what was written is not read", e);
    }
  }
}
