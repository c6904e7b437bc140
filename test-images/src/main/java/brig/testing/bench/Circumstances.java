package brig.testing.bench;

import brig.testing.Command;
import brig.testing.Containerd;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.time.temporal.ChronoUnit;

/**
 * Where and with what was measured; without it a figure says nothing.
 *
 * @param date when
 * @param processor its name, and how many the run could use
 * @param memory in GB
 * @param kernel release
 * @param load load average at the beginning, as the kernel gives it
 * @param brig what {@code brig --version} says, with the commit
 * @param containerd its version
 * @param runc its version
 * @param command what was asked for
 */
record Circumstances(
    String date,
    String processor,
    double memory,
    String kernel,
    String load,
    String brig,
    String containerd,
    String runc,
    String command) {

  private static final double KIB_PER_GB = 1e9 / 1024;

  static Circumstances now(Path home, Containerd containerd, String brig, String command) {
    String commit =
        Command.of("git", "-C", home.toString(), "describe", "--always", "--dirty").run().stdout();
    return new Circumstances(
        Instant.now().truncatedTo(ChronoUnit.SECONDS).toString(),
        field("/proc/cpuinfo", "model name")
            + ", "
            + Runtime.getRuntime().availableProcessors()
            + " processors",
        Double.parseDouble(field("/proc/meminfo", "MemTotal").split(" ")[0]) / KIB_PER_GB,
        read("/proc/sys/kernel/osrelease"),
        read("/proc/loadavg"),
        brig + " " + commit.trim(),
        firstLine(containerd.program("containerd")),
        firstLine(containerd.program("runc")),
        command);
  }

  private static String firstLine(Path program) {
    return Command.of(program.toString(), "--version")
        .run()
        .orFail()
        .stdout()
        .lines()
        .findFirst()
        .orElse("");
  }

  private static String field(String file, String name) {
    return read(file)
        .lines()
        .filter(line -> line.startsWith(name))
        .map(line -> line.substring(line.indexOf(':') + 1).trim())
        .findFirst()
        .orElse("?");
  }

  private static String read(String file) {
    try {
      return Files.readString(Path.of(file)).trim();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public String toString() {
    return """
    %s  %s
    %s, %.1f GB, Linux %s, load %s
    Brig %s
    %s
    %s
    """
        .formatted(date, command, processor, memory, kernel, load, brig, containerd, runc);
  }

  ObjectNode toJson() {
    return JsonNodeFactory.instance
        .objectNode()
        .put("date", date)
        .put("command", command)
        .put("processor", processor)
        .put("memory_gb", memory)
        .put("kernel", kernel)
        .put("load", load)
        .put("brig", brig)
        .put("containerd", containerd)
        .put("runc", runc);
  }
}
