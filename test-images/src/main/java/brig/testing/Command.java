package brig.testing;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** A program run to its end, with all of its output, within a time limit. */
public final class Command {

  /** Generous: the machine may be busy, and a hang must still end the run with a name. */
  public static final Duration LIMIT = Duration.ofSeconds(90);

  /** How a program ended. */
  public record Result(List<String> command, int exitCode, byte[] stdoutBytes, String stderr) {

    public String stdout() {
      return new String(stdoutBytes, StandardCharsets.UTF_8);
    }

    /** The result itself if the program succeeded. */
    public Result orFail() {
      if (exitCode != 0) {
        throw new AssertionError(this);
      }
      return this;
    }

    @Override
    public String toString() {
      String output = stdoutBytes.length > 4000 ? stdoutBytes.length + " bytes" : stdout();
      return String.join(" ", command)
          + "\nexit code "
          + exitCode
          + "\nstdout: "
          + output
          + "\nstderr: "
          + stderr;
    }
  }

  private final List<String> arguments = new ArrayList<>();
  private final ProcessBuilder builder;
  private byte[] input = {};
  private boolean keepInputOpen;
  private Duration limit = LIMIT;

  public Command(List<String> arguments) {
    this.arguments.addAll(arguments);
    this.builder = new ProcessBuilder(this.arguments);
  }

  public static Command of(String... arguments) {
    return new Command(List.of(arguments));
  }

  public Command environment(Map<String, String> variables) {
    builder.environment().putAll(variables);
    return this;
  }

  public Command directory(Path directory) {
    builder.directory(directory.toFile());
    return this;
  }

  public Command input(byte[] bytes) {
    input = bytes;
    return this;
  }

  public Command input(String text) {
    return input(text.getBytes(StandardCharsets.UTF_8));
  }

  /** A stdin that never reaches its end, as a client at a terminal has. */
  public Command openInput() {
    keepInputOpen = true;
    return this;
  }

  public Command limit(Duration duration) {
    limit = duration;
    return this;
  }

  /** As a shell would be given it; no argument here needs quotes. */
  @Override
  public String toString() {
    return String.join(" ", arguments);
  }

  /** Starts it and leaves it running. */
  public Running start() {
    try {
      return new Running(List.copyOf(arguments), builder.start(), limit, input, keepInputOpen);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Result run() {
    return start().await();
  }

  /** A program under way. */
  public static final class Running implements AutoCloseable {
    private final List<String> command;
    private final Process process;
    private final Duration limit;
    private final CompletableFuture<byte[]> stdout;
    private final CompletableFuture<byte[]> stderr;

    private Running(
        List<String> command, Process process, Duration limit, byte[] input, boolean keepOpen) {
      this.command = command;
      this.process = process;
      this.limit = limit;
      this.stdout = collect(process.getInputStream());
      this.stderr = collect(process.getErrorStream());
      OutputStream stdin = process.getOutputStream();
      Thread.ofVirtual()
          .start(() -> {
            try {
              stdin.write(input);
              stdin.flush();
              if (!keepOpen) {
                stdin.close();
              }
            } catch (IOException e) {
              // The program didn't read all of its input, which is its own affair.
              process.onExit();
            }
          });
    }

    public long pid() {
      return process.pid();
    }

    public boolean alive() {
      return process.isAlive();
    }

    public OutputStream stdin() {
      return process.getOutputStream();
    }

    public Result await() {
      try {
        if (!process.waitFor(limit.toMillis(), TimeUnit.MILLISECONDS)) {
          process.destroyForcibly();
          throw new AssertionError(
              "still running after "
                  + limit.toSeconds()
                  + " s: "
                  + String.join(" ", command)
                  + "\nstdout: "
                  + text(stdout)
                  + "\nstderr: "
                  + text(stderr));
        }
        return new Result(
            command,
            process.exitValue(),
            stdout.get(limit.toMillis(), TimeUnit.MILLISECONDS),
            text(stderr));
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IllegalStateException(e);
      } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
        throw new AssertionError("the output of " + String.join(" ", command) + " has no end", e);
      }
    }

    private static String text(CompletableFuture<byte[]> bytes) {
      try {
        return new String(bytes.get(5, TimeUnit.SECONDS), StandardCharsets.UTF_8);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return "(interrupted)";
      } catch (java.util.concurrent.ExecutionException | java.util.concurrent.TimeoutException e) {
        return "(no end)";
      }
    }

    /** Ends it if it hasn't ended. */
    @Override
    public void close() {
      process.destroyForcibly();
    }

    private static CompletableFuture<byte[]> collect(InputStream stream) {
      CompletableFuture<byte[]> whole = new CompletableFuture<>();
      Thread.ofPlatform()
          .daemon()
          .start(() -> {
            ByteArrayOutputStream bytes = new ByteArrayOutputStream();
            try {
              stream.transferTo(bytes);
              whole.complete(bytes.toByteArray());
            } catch (IOException e) {
              whole.complete(bytes.toByteArray());
            }
          });
      return whole;
    }
  }
}
