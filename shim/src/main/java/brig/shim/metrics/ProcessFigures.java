package brig.shim.metrics;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;

/** The daemon's own process, under the names that Prometheus' clients give to these figures. */
final class ProcessFigures {
  private static final Path SELF = Path.of("/proc/self");

  private ProcessFigures() {}

  static void writeTo(Exposition text) {
    ProcessHandle.Info info = ProcessHandle.current().info();
    Optional<Instant> start = info.startInstant();
    start.ifPresent(at ->
        text.single(
            "process_start_time_seconds",
            Exposition.Type.GAUGE,
            "When brigd was started, since 1970; each change is a restart.",
            Exposition.seconds(Duration.between(Instant.EPOCH, at).toNanos())));
    Optional<Duration> processor = info.totalCpuDuration();
    processor.ifPresent(spent ->
        text.single(
            "process_cpu_seconds",
            Exposition.Type.COUNTER,
            "Processor time of brigd.",
            Exposition.seconds(spent.toNanos())));
    try {
      text.single(
          "process_resident_memory_bytes",
          Exposition.Type.GAUGE,
          "Resident memory of brigd.",
          Long.toString(resident(Files.readAllLines(SELF.resolve("status")))));
      text.single(
          "process_open_fds",
          Exposition.Type.GAUGE,
          "Descriptors that brigd has open.",
          Integer.toString(descriptors()));
    } catch (IOException e) {
      // Without /proc, or without a descriptor to read it by, these are absent.
    }
  }

  private static long resident(List<String> status) throws IOException {
    for (String line : status) {
      if (line.startsWith("VmRSS:")) {
        return Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024;
      }
    }
    throw new IOException("no VmRSS");
  }

  private static int descriptors() throws IOException {
    int count = 0;
    try (DirectoryStream<Path> open = Files.newDirectoryStream(SELF.resolve("fd"))) {
      for (Path descriptor : open) {
        count += descriptor.getNameCount() > 0 ? 1 : 0;
      }
    }
    // One of them is the look itself.
    return count - 1;
  }
}
