package brig.testing.kernel;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.locks.Condition;
import java.util.concurrent.locks.Lock;
import java.util.concurrent.locks.ReentrantLock;
import jnr.ffi.LibraryLoader;
import jnr.ffi.types.size_t;
import jnr.ffi.types.ssize_t;

/**
 * A pseudo terminal for programs that want one: the harness holds the master and keeps all that was
 * written.
 */
public final class Terminal implements AutoCloseable {

  /** The calls that jnr-posix lacks. */
  public interface Libc {
    int posix_openpt(int flags);

    int grantpt(int fd);

    int unlockpt(int fd);

    int ptsname_r(int fd, byte[] name, @size_t long length);

    @ssize_t
    long read(int fd, byte[] buffer, @size_t long length);

    @ssize_t
    long write(int fd, byte[] buffer, @size_t long length);

    int ioctl(int fd, long request, short[] size);

    int open(String path, int flags);

    int close(int fd);
  }

  private static final Libc LIBC = LibraryLoader.create(Libc.class).load("c");
  // From <fcntl.h> and <asm-generic/ioctls.h>.
  private static final int O_RDWR = 2;
  private static final int O_NOCTTY = 0400;
  private static final int O_CLOEXEC = 02000000;
  private static final long TIOCSWINSZ = 0x5414;

  private final int master;
  private final int ownSlave;
  private final String slave;
  private final ByteArrayOutputStream seen = new ByteArrayOutputStream();
  private final Lock lock = new ReentrantLock();
  private final Condition more = lock.newCondition();

  public Terminal() {
    master = LIBC.posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    byte[] name = new byte[64];
    if (master < 0
        || LIBC.grantpt(master) != 0
        || LIBC.unlockpt(master) != 0
        || LIBC.ptsname_r(master, name, name.length) != 0) {
      throw new AssertionError("no pseudo terminal to be had");
    }
    slave = new String(name, StandardCharsets.US_ASCII).split("\0", 2)[0];
    // Held open, so that the master doesn't see a hang-up between two programs.
    ownSlave = LIBC.open(slave, O_RDWR | O_NOCTTY | O_CLOEXEC);
    Thread.ofPlatform().daemon().name("terminal").start(this::collect);
  }

  /**
   * Starts a program with it as stdin, stdout and stderr, each open for both directions as a login
   * gives them.
   */
  public Process start(List<String> command, Map<String, String> environment) {
    List<String> line =
        new ArrayList<>(List.of("sh", "-c", "exec \"$@\" 0<>" + slave + " 1>&0 2>&0", "sh"));
    line.addAll(command);
    ProcessBuilder builder = new ProcessBuilder(line);
    builder.environment().putAll(environment);
    try {
      return builder.start();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public void type(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    if (LIBC.write(master, bytes, bytes.length) != bytes.length) {
      throw new AssertionError("the terminal takes no input");
    }
  }

  public void resize(int columns, int rows) {
    if (LIBC.ioctl(master, TIOCSWINSZ, new short[] {(short) rows, (short) columns, 0, 0}) != 0) {
      throw new AssertionError("the terminal keeps its size");
    }
  }

  public String seen() {
    lock.lock();
    try {
      return seen.toString(StandardCharsets.UTF_8);
    } finally {
      lock.unlock();
    }
  }

  /** Waits until this text has been written to the terminal. */
  public void await(String text) {
    lock.lock();
    try {
      long left = Duration.ofSeconds(60).toNanos();
      while (!seen.toString(StandardCharsets.UTF_8).contains(text)) {
        left = more.awaitNanos(left);
        if (left <= 0) {
          throw new AssertionError(
              "never seen on the terminal: "
                  + text
                  + "; seen: "
                  + seen.toString(StandardCharsets.UTF_8));
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } finally {
      lock.unlock();
    }
  }

  private void collect() {
    byte[] buffer = new byte[4096];
    for (long got = LIBC.read(master, buffer, buffer.length);
        got > 0;
        got = LIBC.read(master, buffer, buffer.length)) {
      lock.lock();
      try {
        seen.write(buffer, 0, (int) got);
        more.signalAll();
      } finally {
        lock.unlock();
      }
    }
  }

  @Override
  public void close() {
    LIBC.close(ownSlave);
    LIBC.close(master);
  }
}
