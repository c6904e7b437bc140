package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.client.TestContainer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * What curl gets from the daemon's socket, read by the parsers of Prometheus' own Python client.
 */
@OneContainerd
@OnlyBrig
class MetricsTest extends ClientTest {
  private static final String OPEN_METRICS = "application/openmetrics-text";

  /** Prints each sample as name, labels in order, and value. */
  private static final String READER =
      """
      import sys
      from prometheus_client%s.parser import text_string_to_metric_families
      for family in text_string_to_metric_families(sys.stdin.read()):
          for sample in family.samples:
              labels = ",".join(k + "=" + v for k, v in sorted(sample.labels.items()))
              print(sample.name + "{" + labels + "}", sample.value)
      """;

  MetricsTest(Containerd containerd) {
    super(containerd);
  }

  private Path socket() {
    return containerd.brig().ownRun().resolve("metrics.sock");
  }

  private String served(String accept) {
    return Command.of(
            "curl",
            "--silent",
            "--show-error",
            "--fail",
            "--header",
            "Accept: " + accept,
            "--unix-socket",
            socket().toString(),
            "http://brig/metrics")
        .run()
        .orFail()
        .stdout();
  }

  /** What a parser has read: values by name and labels. */
  private record Samples(Map<String, Double> values) {
    double value(String name) {
      assertThat(values).containsKey(name);
      return values.getOrDefault(name, Double.NaN);
    }
  }

  private static Samples samples(String text, String parser) {
    Map<String, Double> samples = new TreeMap<>();
    Command.of("/usr/bin/python3", "-c", READER.formatted(parser))
        .input(text)
        .run()
        .orFail()
        .stdout()
        .lines()
        .forEach(line -> {
          int end = line.lastIndexOf(' ');
          samples.put(line.substring(0, end), Double.valueOf(line.substring(end + 1)));
        });
    return new Samples(samples);
  }

  @Test
  void callsAndContainersAreCounted() {
    TestContainer container = sleeping();
    container.start();
    Samples before = samples(served(OPEN_METRICS), ".openmetrics");
    String creates = "brig_call_duration_seconds_count{code=OK,method=Create}";
    String running = "brig_containers{state=running}";
    assertThat(before.value(creates)).isPositive();
    assertThat(before.value(running)).isPositive();
    assertThat(before.value("brig_step_duration_seconds_count{result=done,step=execute}"))
        .isPositive();
    assertThat(before.value("brig_id_ranges{}")).isPositive();

    TestContainer second = sleeping();
    second.start();
    Samples after = samples(served(OPEN_METRICS), ".openmetrics");
    assertThat(after.value(creates)).isEqualTo(before.value(creates) + 1);
    assertThat(after.value(running)).isEqualTo(before.value(running) + 1);
    assertThat(after.value("brig_id_ranges{}")).isEqualTo(before.value("brig_id_ranges{}") + 1);
  }

  @Test
  void bothFormatsAreReadByParsersOfOthersAndSayTheSame() {
    sleeping().start();
    Samples open = samples(served(OPEN_METRICS), ".openmetrics");
    Samples plain = samples(served("text/plain"), "");
    assertThat(plain.values().keySet()).isEqualTo(open.values().keySet());
    String memory = "process_resident_memory_bytes{}";
    assertThat(open.value(memory)).isBetween(20e6, 500e6);
    assertThat(open.value("process_open_fds{}")).isBetween(5.0, 1000.0);
  }

  @Test
  void theCommandTellsThemAsWell() {
    sleeping().start();
    String told = containerd.brig().command("metrics").run().orFail().stdout();
    assertThat(samples(told, "").value("brig_pods{keeper=connected}")).isPositive();
  }

  @Test
  void theSocketIsRootsAlone() throws Exception {
    sleeping().start();
    served(OPEN_METRICS);
    assertThat(Files.getPosixFilePermissions(socket()).toString())
        .isEqualTo("[OWNER_READ, OWNER_WRITE]");
  }
}
