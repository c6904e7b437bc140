package brig.shim.relay;

import brig.proto.keeper.FromKeeper;
import com.google.protobuf.InvalidProtocolBufferException;
import java.nio.ByteBuffer;

/**
 * A keeper's stream, whole and cut in pieces as long as its first byte says: frames, or a refusal.
 */
public final class FrameFuzzTarget {
  private FrameFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    int[] seen = new int[2];
    FrameDecoder whole =
        new FrameDecoder(frame -> {
          seen[0]++;
          try {
            FromKeeper.parseFrom(frame);
          } catch (InvalidProtocolBufferException refused) {
            // The connection ends with it.
          }
        });
    FrameDecoder cut = new FrameDecoder(frame -> seen[1]++);
    boolean refused = !feed(whole, bytes, Math.max(bytes.length, 1));
    int size = bytes.length == 0 ? 1 : Math.max(bytes[0] & 0xff, 1);
    if (feed(cut, bytes, size) == refused || seen[0] != seen[1]) {
      throw new IllegalStateException("it matters where the stream is cut");
    }
  }

  private static boolean feed(FrameDecoder decoder, byte[] bytes, int size) {
    try {
      for (int at = 0; at < bytes.length; at += size) {
        decoder.feed(ByteBuffer.wrap(bytes, at, Math.min(size, bytes.length - at)));
      }
      return true;
    } catch (FrameException e) {
      return false;
    }
  }
}
