package brig.shim.daemon;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * The end of a pod's record, by which a reader sees that it is to the byte what a keeper wrote
 * (keeper.proto, PodRecord): field 15, eight bytes of FNV-1a over all before it.
 */
final class Seal {
  private static final byte[] FIELD = {15 << 3 | 2, 8};
  private static final int LENGTH = FIELD.length + 8;
  private static final long OFFSET = 0xcbf2_9ce4_8422_2325L;
  private static final long PRIME = 0x0100_0000_01b3L;

  private Seal() {}

  /** What is sealed. */
  static byte[] open(byte[] file) throws IOException {
    int length = file.length - LENGTH;
    if (length < 0 || !Arrays.equals(of(file, length), 0, LENGTH, file, length, file.length)) {
      throw new IOException("it is torn or was changed");
    }
    return Arrays.copyOf(file, length);
  }

  /** The seal of the first bytes of an array. */
  static byte[] of(byte[] bytes, int length) {
    long hash = OFFSET;
    for (int i = 0; i < length; i++) {
      hash = (hash ^ (bytes[i] & 0xff)) * PRIME;
    }
    return ByteBuffer.allocate(LENGTH).put(FIELD).putLong(hash).array();
  }
}
