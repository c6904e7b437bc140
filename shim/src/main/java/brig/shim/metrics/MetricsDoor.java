package brig.shim.metrics;

import brig.shim.log.Log;
import brig.shim.metrics.Exposition.Format;
import brig.shim.relay.Peers;
import java.io.IOException;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.Semaphore;
import java.util.function.Function;

/**
 * Serves the metrics by HTTP on one socket, one answer a connection (RFC 9112; GET and HEAD of
 * {@code /metrics}).
 *
 * <p>A reader that is slow, or many of them, cost no more than {@link #MAX_READERS} connections for
 * {@link #LIMIT}. A socket that can't be opened is tried again: a node without metrics goes on.
 */
public final class MetricsDoor implements AutoCloseable {
  /** Readers at one time; more are closed at once. */
  static final int MAX_READERS = 8;

  /** For the whole of a request and its answer. */
  static final Duration LIMIT = Duration.ofSeconds(5);

  private static final Duration PAUSE = Duration.ofSeconds(5);
  private static final int BACKLOG = 16;

  private final SocketAddress address;
  private final Peers peers;
  private final Function<Format, String> metrics;
  private final Log log;
  private final Semaphore readers = new Semaphore(MAX_READERS);
  private volatile Optional<ServerSocketChannel> listener = Optional.empty();
  private volatile boolean closed;

  /**
   * @param address of a unix socket, which is replaced, or of TCP
   * @param peers who may read on a unix socket
   */
  public MetricsDoor(
      SocketAddress address, Peers peers, Function<Format, String> metrics, Log log) {
    this.address = address;
    this.peers = peers;
    this.metrics = metrics;
    this.log = log.with("metrics", address.toString());
  }

  /** Serves on a thread of its own until {@link #close}. */
  public void start() {
    Thread.ofVirtual().name("metrics").start(this::run);
  }

  private void run() {
    boolean told = false;
    while (!closed) {
      try (ServerSocketChannel open = open()) {
        listener = Optional.of(open);
        told = false;
        while (!closed) {
          accept(open.accept());
        }
      } catch (IOException e) {
        if (!closed && !told) {
          log.warn("metrics can't be served at the moment: " + e.getMessage());
          told = true;
        }
        rest();
      }
    }
  }

  private void rest() {
    try {
      Thread.sleep(PAUSE);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      closed = true;
    }
  }

  private ServerSocketChannel open() throws IOException {
    if (!(address instanceof UnixDomainSocketAddress unix)) {
      return ServerSocketChannel.open().bind(address, BACKLOG);
    }
    Path path = unix.getPath();
    Files.deleteIfExists(path);
    ServerSocketChannel open = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      open.bind(unix, BACKLOG);
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    } catch (IOException e) {
      open.close();
      throw e;
    }
    return open;
  }

  private void accept(SocketChannel reader) throws IOException {
    boolean known = !(address instanceof UnixDomainSocketAddress) || peers.mayOpen(reader);
    if (!known || !readers.tryAcquire()) {
      reader.close();
      return;
    }
    Thread.ofVirtual()
        .name("metrics reader")
        .start(() -> {
          try {
            serve(reader);
          } finally {
            readers.release();
          }
        });
  }

  private void serve(SocketChannel reader) {
    Thread limit = Thread.ofVirtual().start(() -> closeLate(reader));
    try (reader) {
      String answer = HttpAnswer.to(HttpRequest.read(reader), metrics);
      ByteBuffer bytes = ByteBuffer.wrap(answer.getBytes(StandardCharsets.UTF_8));
      while (bytes.hasRemaining()) {
        reader.write(bytes);
      }
    } catch (IOException e) {
      // The reader left, or was too slow: it knows.
    } catch (RuntimeException e) {
      log.error("metrics not told", e);
    } finally {
      limit.interrupt();
    }
  }

  private void closeLate(SocketChannel reader) {
    try {
      Thread.sleep(LIMIT);
      reader.close();
    } catch (InterruptedException e) {
      // It was in time.
    } catch (IOException e) {
      log.warn("reader's connection not closed cleanly: " + e.getMessage());
    }
  }

  @Override
  public void close() throws IOException {
    closed = true;
    Optional<ServerSocketChannel> open = listener;
    if (open.isPresent()) {
      open.get().close();
    }
  }
}
