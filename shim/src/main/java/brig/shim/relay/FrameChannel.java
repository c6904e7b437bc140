package brig.shim.relay;

import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.MessageLite;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.util.concurrent.locks.ReentrantLock;

/**
 * Frames over a blocking socket: one reader at a time, any number of writers, each frame written
 * whole.
 */
final class FrameChannel implements AutoCloseable {
  private static final int READ_BUFFER = 8192;

  /** Makes a message at the moment at which it will be written, with no other in between. */
  interface Late {
    MessageLite message();
  }

  private final SocketChannel socket;
  private final ReentrantLock writing = new ReentrantLock(true);

  FrameChannel(SocketChannel socket) {
    this.socket = socket;
  }

  /** Reads until the peer ends the stream, feeding {@code decoder}. */
  void readTo(FrameDecoder decoder) throws IOException {
    ByteBuffer buffer = ByteBuffer.allocate(READ_BUFFER);
    while (socket.read(buffer) >= 0) {
      decoder.feed(buffer.flip());
      buffer.clear();
    }
    if (!decoder.atBoundary()) {
      throw new FrameException("stream ended within a frame");
    }
  }

  void write(MessageLite message) throws IOException {
    writing.lock();
    try {
      writeFrame(message);
    } finally {
      writing.unlock();
    }
  }

  void writeLate(Late late) throws IOException {
    writing.lock();
    try {
      writeFrame(late.message());
    } finally {
      writing.unlock();
    }
  }

  private void writeFrame(MessageLite message) throws IOException {
    int length = message.getSerializedSize();
    if (length > FrameDecoder.MAX_FRAME) {
      throw new FrameException("own frame of " + length + " bytes is too long");
    }
    byte[] bytes = new byte[4 + length];
    ByteBuffer frame = ByteBuffer.wrap(bytes).putInt(0, length);
    CodedOutputStream body = CodedOutputStream.newInstance(bytes, 4, length);
    message.writeTo(body);
    body.checkNoSpaceLeft();
    while (frame.hasRemaining()) {
      socket.write(frame);
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
