package brig.testing.faults.points;

import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;

/**
 * Stands in for a socket: whoever connects is connected on, and each frame goes through the hands
 * of a {@link Traffic}. The end of either side is the end of both.
 */
final class Relay implements AutoCloseable {

  /** How frames are told apart: a header that begins with the length of what follows it. */
  enum Form {
    /** Of keeper.proto. */
    PLAIN(4),
    /** Of ttrpc. */
    TTRPC(10);

    private final int header;

    Form(int header) {
      this.header = header;
    }
  }

  /** What takes a frame on, or a part of it. */
  interface Sink {
    void write(byte[] bytes, int length) throws IOException;

    default void write(byte[] bytes) throws IOException {
      write(bytes, bytes.length);
    }
  }

  /** What becomes of one connection's frames; each direction has a thread of its own. */
  interface Traffic {
    /** From who connected; false: the connection ends. */
    boolean up(byte[] frame, Sink sink) throws IOException;

    /** To who connected. */
    boolean down(byte[] frame, Sink sink) throws IOException;

    /** Both sides have been closed. */
    default void ended() {}
  }

  private final ServerSocketChannel listener;
  private final Path behind;
  private final Form form;
  private final Supplier<Traffic> traffic;
  private final Set<SocketChannel> open = ConcurrentHashMap.newKeySet();

  private Relay(ServerSocketChannel listener, Path behind, Form form, Supplier<Traffic> traffic) {
    this.listener = listener;
    this.behind = behind;
    this.form = form;
    this.traffic = traffic;
  }

  /**
   * @param front where it listens
   * @param behind where it connects each one on
   */
  static Relay open(Path front, Path behind, Form form, Supplier<Traffic> traffic) {
    try {
      Files.deleteIfExists(front);
      ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
      listener.bind(UnixDomainSocketAddress.of(front), 1024);
      Relay relay = new Relay(listener, behind, form, traffic);
      Thread.ofPlatform().daemon().name("relay " + front).start(relay::accept);
      return relay;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void accept() {
    while (true) {
      try {
        SocketChannel client = listener.accept();
        open.add(client);
        Thread.ofPlatform().daemon().name("relay").start(() -> serve(client));
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  private void serve(SocketChannel client) {
    Traffic frames = traffic.get();
    try (client;
        SocketChannel server = SocketChannel.open(UnixDomainSocketAddress.of(behind))) {
      open.add(server);
      Thread down =
          Thread.ofPlatform()
              .daemon()
              .name("relay down")
              .start(() -> pump(server, client, frames::down));
      pump(client, server, frames::up);
      down.join();
      open.remove(server);
    } catch (IOException e) {
      // Nobody listens there now: who connected tries again.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      open.remove(client);
      frames.ended();
    }
  }

  private interface Passing {
    boolean pass(byte[] frame, Sink sink) throws IOException;
  }

  private void pump(SocketChannel from, SocketChannel to, Passing passing) {
    Sink sink =
        (bytes, length) -> {
          ByteBuffer left = ByteBuffer.wrap(bytes, 0, length);
          while (left.hasRemaining()) {
            to.write(left);
          }
        };
    try (from;
        to) {
      boolean goesOn = true;
      while (goesOn) {
        ByteBuffer header = ByteBuffer.allocate(form.header);
        fill(from, header);
        int length = header.getInt(0);
        ByteBuffer frame = ByteBuffer.allocate(form.header + length).put(header.flip());
        fill(from, frame);
        goesOn = passing.pass(frame.array(), sink);
      }
    } catch (IOException e) {
      // One of them is gone, which ends both.
    }
  }

  private static void fill(SocketChannel from, ByteBuffer buffer) throws IOException {
    while (buffer.hasRemaining()) {
      if (from.read(buffer) < 0) {
        throw new EOFException();
      }
    }
  }

  @Override
  public void close() {
    try {
      listener.close();
      for (SocketChannel channel : open) {
        channel.close();
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
