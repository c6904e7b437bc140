package brig.testing.bench;

import brig.testing.Command;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Fifo;
import brig.testing.spec.OciSpec;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * How fast a container's stdout reaches its client: {@code dd} writes blocks of 64 KiB, the client
 * reads its FIFO to the end. For comparison the same {@code dd} writes to the FIFO itself, with
 * nobody in between.
 */
final class Throughput implements Measurement {

  private static final int BLOCK = 64 << 10;
  private static final double MEGA = 1e6;
  private static final double NANOS_PER_SECOND = 1e9;

  @Override
  public String title() {
    return "stdout throughput";
  }

  @Override
  public List<Row> measure(Workbench bench, Plan plan) {
    List<Subject> writers =
        bench.subjects().stream().filter(subject -> subject != Subject.NULL).toList();
    Samples bare = new Samples();
    long bytes = plan.megabytes() * (long) MEGA / BLOCK * BLOCK;
    Map<Subject, Samples> samples =
        new Alternation(writers)
            .measure(
                0,
                plan.streams(),
                subject -> {
                  bare.add(rate(bytes, fifo -> host(fifo, bytes)));
                  return rate(bytes, fifo -> container(bench, subject, fifo, bytes));
                });
    List<Row> rows = new ArrayList<>();
    rows.add(Alternation.row("stdout", "stdout throughput", "MB/s", Row.Kind.RATE, samples, 0.5));
    Map<Subject, Double> share = new EnumMap<>(Subject.class);
    samples.forEach((subject, rates) -> share.put(subject, 100 * rates.median() / bare.median()));
    rows.add(
        new Row(
            "stdout.ofBare",
            "  of a bare FIFO's %.0f MB/s".formatted(bare.median()),
            "%",
            Row.Kind.RATE,
            bare.count(),
            share));
    return rows;
  }

  private interface Writer {
    void write(Path fifo);
  }

  private static double rate(long bytes, Writer writer) {
    try {
      Path directory = Files.createTempDirectory("brig-fifo-");
      Path fifo = Fifo.make(directory.resolve("stdout"));
      CompletableFuture<Stream> stream = new CompletableFuture<>();
      Thread.ofPlatform().daemon().start(() -> read(fifo, stream));
      writer.write(fifo);
      Stream read = stream.get(Command.LIMIT.toSeconds(), TimeUnit.SECONDS);
      Files.delete(fifo);
      Files.delete(directory);
      if (read.bytes() != bytes) {
        throw new AssertionError(read.bytes() + " of " + bytes + " bytes have arrived");
      }
      return bytes / MEGA / (read.nanos() / NANOS_PER_SECOND);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException | TimeoutException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void host(Path fifo, long bytes) {
    Command.of("sh", "-c", dd(bytes) + " >" + fifo).run().orFail();
  }

  private static void container(Workbench bench, Subject subject, Path fifo, long bytes) {
    Path stderr = Fifo.make(fifo.resolveSibling("stderr"));
    try (TestContainer container =
            bench
                .client(subject)
                .container(subject.freshId(), OciSpec.running("sh", "-c", dd(bytes)));
        RandomAccessFile _ = new RandomAccessFile(stderr.toFile(), "rw")) {
      TestProcess process = container.create(Stdio.of("", fifo.toString(), stderr.toString()));
      var exit = process.exitAhead();
      process.start();
      if (TestProcess.await(exit).status() != 0) {
        throw new AssertionError(container.id() + ": dd failed");
      }
      process.delete();
      Files.delete(stderr);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String dd(long bytes) {
    return "dd if=/dev/zero bs=" + BLOCK + " count=" + bytes / BLOCK + " 2>/dev/null";
  }

  private static void read(Path fifo, CompletableFuture<Stream> done) {
    byte[] buffer = new byte[1 << 20];
    long sum = 0;
    try (InputStream input = new FileInputStream(fifo.toFile())) {
      int read = input.read(buffer);
      long first = System.nanoTime();
      long last = first;
      while (read >= 0) {
        sum += read;
        last = System.nanoTime();
        read = input.read(buffer);
      }
      done.complete(new Stream(sum, last - first));
    } catch (IOException e) {
      done.completeExceptionally(e);
    }
  }

  /** What arrived, and the time from the first byte to the last. */
  private record Stream(long bytes, long nanos) {}
}
