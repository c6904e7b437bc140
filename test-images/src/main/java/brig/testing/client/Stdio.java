package brig.testing.client;

import brig.testing.kernel.Fifo;
import java.io.ByteArrayOutputStream;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;

/**
 * The client's end of a process's stdio: FIFOs in a directory of their own, as containerd's clients
 * make them, with everything that arrives kept. A stream that isn't wanted has an empty path.
 */
public final class Stdio implements AutoCloseable {

  private final String stdin;
  private final String stdout;
  private final String stderr;
  private final boolean terminal;
  private final Sink out;
  private final Sink err;

  private Stdio(String stdin, String stdout, String stderr, boolean terminal, Sink out, Sink err) {
    this.stdin = stdin;
    this.stdout = stdout;
    this.stderr = stderr;
    this.terminal = terminal;
    this.out = out;
    this.err = err;
  }

  /** Nothing at all: everything is {@code /dev/null}. */
  public static Stdio none() {
    return new Stdio("", "", "", false, Sink.nothing(), Sink.nothing());
  }

  /** Paths or URIs that the shim serves itself. */
  public static Stdio of(String stdin, String stdout, String stderr) {
    return new Stdio(stdin, stdout, stderr, false, Sink.nothing(), Sink.nothing());
  }

  /** stdout and stderr are kept. */
  public static Stdio captured() {
    Path directory = directory();
    return new Stdio(
        "",
        directory.resolve("stdout").toString(),
        directory.resolve("stderr").toString(),
        false,
        Sink.of(Fifo.make(directory.resolve("stdout"))),
        Sink.of(Fifo.make(directory.resolve("stderr"))));
  }

  /** The same, and the test writes stdin. */
  public static Stdio interactive() {
    Path directory = directory();
    return new Stdio(
        Fifo.make(directory.resolve("stdin")).toString(),
        directory.resolve("stdout").toString(),
        directory.resolve("stderr").toString(),
        false,
        Sink.of(Fifo.make(directory.resolve("stdout"))),
        Sink.of(Fifo.make(directory.resolve("stderr"))));
  }

  /** A terminal's: one stream each way. */
  public static Stdio terminal() {
    Path directory = directory();
    return new Stdio(
        Fifo.make(directory.resolve("stdin")).toString(),
        directory.resolve("stdout").toString(),
        "",
        true,
        Sink.of(Fifo.make(directory.resolve("stdout"))),
        Sink.nothing());
  }

  /** Hands each block of stdout to the consumer instead of keeping it. */
  public static Stdio streaming(Consumer<byte[]> consumer) {
    Path directory = directory();
    return new Stdio(
        "",
        directory.resolve("stdout").toString(),
        directory.resolve("stderr").toString(),
        false,
        Sink.of(Fifo.make(directory.resolve("stdout")), consumer),
        Sink.of(Fifo.make(directory.resolve("stderr"))));
  }

  private static Path directory() {
    try {
      return Files.createTempDirectory("brig-stdio-");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public String stdinPath() {
    return stdin;
  }

  public String stdoutPath() {
    return stdout;
  }

  public String stderrPath() {
    return stderr;
  }

  public boolean isTerminal() {
    return terminal;
  }

  /** All of stdout, once its writers have closed it. */
  public String stdout() {
    return new String(out.await(), StandardCharsets.UTF_8);
  }

  public byte[] stdoutBytes() {
    return out.await();
  }

  public byte[] stderrBytes() {
    return err.await();
  }

  public String stderr() {
    return new String(err.await(), StandardCharsets.UTF_8);
  }

  /** What has arrived on stdout so far. */
  public String seen() {
    return out.seen();
  }

  /** Waits until this text has arrived on stdout. */
  public void awaitStdout(String text) {
    out.await(text);
  }

  /** The writing end of stdin; never blocks on a missing reader. */
  public RandomAccessFile openStdin() {
    try {
      return new RandomAccessFile(stdin, "rw");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    out.release();
    err.release();
    if (!stdout.isEmpty() && stdout.contains("brig-stdio-")) {
      try {
        Path directory = Path.of(stdout).getParent();
        if (directory != null) {
          for (String name : new String[] {"stdin", "stdout", "stderr"}) {
            Files.deleteIfExists(directory.resolve(name));
          }
          Files.deleteIfExists(directory);
        }
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    }
  }

  /** Reads a FIFO to its end. */
  private static final class Sink {
    private final Path fifo;
    private final Consumer<byte[]> consumer;
    private final ByteArrayOutputStream kept = new ByteArrayOutputStream();
    private final CompletableFuture<byte[]> end = new CompletableFuture<>();

    private Sink(Path fifo, Consumer<byte[]> consumer) {
      this.fifo = fifo;
      this.consumer = consumer;
    }

    static Sink nothing() {
      Sink sink = new Sink(Path.of("/dev/null"), block -> {});
      sink.end.complete(new byte[0]);
      return sink;
    }

    static Sink of(Path fifo) {
      Sink[] self = new Sink[1];
      Sink sink = new Sink(fifo, block -> self[0].keep(block));
      self[0] = sink;
      sink.start();
      return sink;
    }

    static Sink of(Path fifo, Consumer<byte[]> consumer) {
      Sink sink = new Sink(fifo, consumer);
      sink.start();
      return sink;
    }

    private synchronized void keep(byte[] block) {
      kept.writeBytes(block);
      notifyAll();
    }

    private void start() {
      Thread.ofPlatform().daemon().name("stdio " + fifo).start(this::read);
    }

    private void read() {
      try (InputStream input = new FileInputStream(fifo.toFile())) {
        byte[] buffer = new byte[1 << 16];
        for (int got = input.read(buffer); got >= 0; got = input.read(buffer)) {
          consumer.accept(java.util.Arrays.copyOf(buffer, got));
        }
        finish();
      } catch (IOException e) {
        end.completeExceptionally(e);
      }
    }

    private synchronized void finish() {
      end.complete(kept.toByteArray());
      notifyAll();
    }

    synchronized String seen() {
      return kept.toString(StandardCharsets.UTF_8);
    }

    synchronized void await(String text) {
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
      while (!kept.toString(StandardCharsets.UTF_8).contains(text)) {
        long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
        if (left <= 0 || (end.isDone() && !kept.toString(StandardCharsets.UTF_8).contains(text))) {
          throw new AssertionError(
              "never seen on stdout: " + text + "; seen: " + kept.toString(StandardCharsets.UTF_8));
        }
        try {
          wait(left);
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new IllegalStateException(e);
        }
      }
    }

    byte[] await() {
      try {
        return end.get(90, TimeUnit.SECONDS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      } catch (ExecutionException | TimeoutException e) {
        throw new AssertionError("the output has no end; so far: " + seen(), e);
      }
    }

    /** Lets a reader go that still waits for a first writer. */
    void release() {
      if (!end.isDone()) {
        try (RandomAccessFile both = new RandomAccessFile(fifo.toFile(), "rw")) {
          both.length();
        } catch (IOException e) {
          end.completeExceptionally(e);
        }
      }
    }
  }
}
