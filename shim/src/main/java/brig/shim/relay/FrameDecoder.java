package brig.shim.relay;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.nio.ByteBuffer;
import java.util.Arrays;

/**
 * Cuts a stream of bytes into frames: four bytes of length, big-endian, then so many bytes.
 *
 * <p>Two states: a length is being gathered, or a body is. The length is checked before anything is
 * allocated for it, and a body's memory grows with the bytes that really come, so that a peer can't
 * make the daemon hold more than it sends.
 */
public final class FrameDecoder {
  /** From keeper.proto: a longer frame ends the connection. */
  public static final int MAX_FRAME = 16 << 20;

  private static final int FIRST_ALLOCATION = 4096;
  private static final byte[] NONE = new byte[0];

  /** Told of each frame, in order, from within {@link #feed}. */
  public interface Listener {
    void frame(ByteString body) throws FrameException;
  }

  private final Listener listener;
  private int headerBytes;
  private int length;
  private byte[] body = NONE;
  private int bodyBytes;

  public FrameDecoder(Listener listener) {
    this.listener = listener;
  }

  /** Takes all of {@code input}, however it is cut. After an exception the decoder is of no use. */
  public void feed(ByteBuffer input) throws FrameException {
    while (input.hasRemaining()) {
      if (headerBytes < 4) {
        length = (length << 8) | (input.get() & 0xff);
        headerBytes++;
        if (headerBytes == 4) {
          beginBody();
        }
      } else {
        takeBody(input);
      }
      if (headerBytes == 4 && bodyBytes == length) {
        endBody();
      }
    }
  }

  /** Whether the stream may end here. */
  public boolean atBoundary() {
    return headerBytes == 0;
  }

  private void beginBody() throws FrameException {
    if (length < 0 || length > MAX_FRAME) {
      throw new FrameException(
          "frame of " + Integer.toUnsignedLong(length) + " bytes, more than " + MAX_FRAME);
    }
    body = length == 0 ? NONE : new byte[Math.min(length, FIRST_ALLOCATION)];
    bodyBytes = 0;
  }

  private void takeBody(ByteBuffer input) {
    int count = Math.min(input.remaining(), length - bodyBytes);
    if (bodyBytes + count > body.length) {
      int grown =
          (int) Math.min(length, Math.max((long) body.length * 2, bodyBytes + (long) count));
      body = Arrays.copyOf(body, grown);
    }
    input.get(body, bodyBytes, count);
    bodyBytes += count;
  }

  private void endBody() throws FrameException {
    ByteString frame = UnsafeByteOperations.unsafeWrap(body, 0, length);
    headerBytes = 0;
    length = 0;
    body = NONE;
    bodyBytes = 0;
    listener.frame(frame);
  }
}
