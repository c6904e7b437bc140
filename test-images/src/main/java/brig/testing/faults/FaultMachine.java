package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Settings;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/**
 * Lets chosen system calls of Brig's processes fail or take long, by a seccomp filter that all of
 * them inherit and {@code brig-probe faults} answers for. Only shims that containerd starts by
 * {@link #containerd} are under it, with all that they start.
 */
public final class FaultMachine implements AutoCloseable {

  /** What a rule saw: calls that it was about, how many of them it met, and the last of those. */
  public record Seen(long calls, long met, String last) {}

  private final Settings settings;
  private final Path directory;
  private final Process process;
  private final BufferedReader answers;

  private FaultMachine(Settings settings, Path directory, Process process) {
    this.settings = settings;
    this.directory = directory;
    this.process = process;
    this.answers = process.inputReader(StandardCharsets.UTF_8);
  }

  public static FaultMachine start(Settings settings) {
    try {
      Path directory = Files.createTempDirectory("brig-faults-");
      Files.createSymbolicLink(
          directory.resolve("containerd-shim-brig-v2"), settings.probe().toAbsolutePath());
      ProcessBuilder builder =
          new ProcessBuilder(
              settings.probe().toString(), "faults", directory.resolve("socket").toString());
      builder.redirectError(ProcessBuilder.Redirect.INHERIT);
      FaultMachine machine = new FaultMachine(settings, directory, builder.start());
      machine.expect("listening");
      return machine;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A containerd whose shims are under it. */
  public Containerd containerd(ContainerdVersion version) {
    return Containerd.start(
        settings,
        version,
        "",
        directory,
        Map.of(
            "BRIG_FAULTS_SOCKET",
            directory.resolve("socket").toString(),
            "BRIG_FAULTS_PROGRAMS",
            settings.prefix().resolve("bin").toString()));
  }

  /** From now on this rule is in force, in place of the one before. */
  public void arm(Rule rule) {
    say("arm " + rule.line());
    expect("armed");
  }

  /** From now on every call is made as it was asked for. */
  public Seen disarm() {
    say("disarm");
    String[] words = hear().split(" ", 3);
    return new Seen(Long.parseLong(words[0]), Long.parseLong(words[1]), words[2]);
  }

  private void say(String line) {
    try {
      process.getOutputStream().write((line + "\n").getBytes(StandardCharsets.UTF_8));
      process.getOutputStream().flush();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private String hear() {
    try {
      String line = answers.readLine();
      if (line == null) {
        throw new IllegalStateException("brig-probe faults has ended");
      }
      return line;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void expect(String line) {
    String heard = hear();
    if (!heard.equals(line)) {
      throw new IllegalStateException("brig-probe faults says: " + heard);
    }
  }

  /** To be closed after its containerd: calls that nobody answers for fail. */
  @Override
  public void close() {
    try {
      process.getOutputStream().close();
      if (!process.waitFor(10, TimeUnit.SECONDS)) {
        process.destroyForcibly();
      }
      Files.deleteIfExists(directory.resolve("socket"));
      Files.deleteIfExists(directory.resolve("containerd-shim-brig-v2"));
      Files.delete(directory);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
