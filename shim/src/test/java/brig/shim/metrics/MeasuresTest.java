package brig.shim.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import brig.shim.metrics.Exposition.Format;
import java.util.Map;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class MeasuresTest {
  private static final Node NODE = new Node(2, 1, Map.of("running", 3, "paused", 0), 4, 2, 4094);

  private final Measures measures = new Measures(Map.of("version", "1.2"));

  @Test
  void callsAreCountedByMethodAndCode() {
    measures.call("Create", 0, 3_000_000);
    measures.call("Create", 0, 30_000_000);
    measures.call("Create", 5, 1_000);
    assertThat(text())
        .contains("brig_call_duration_seconds_count{code=\"OK\",method=\"Create\"} 2")
        .contains("brig_call_duration_seconds_sum{code=\"OK\",method=\"Create\"} 0.033")
        .contains("brig_call_duration_seconds_bucket{code=\"OK\",method=\"Create\",le=\"0.005\"} 1")
        .contains("brig_call_duration_seconds_count{code=\"NOT_FOUND\",method=\"Create\"} 1");
  }

  @Test
  void stepsAreCountedByKindAndResult() {
    measures.step("execute", true, 2_000_000);
    measures.step("execute", false, 2_000_000);
    assertThat(text())
        .contains("brig_step_duration_seconds_count{result=\"done\",step=\"execute\"} 1")
        .contains("brig_step_duration_seconds_count{result=\"failed\",step=\"execute\"} 1");
  }

  @Test
  void whatIsTurnedAwayIsCounted() {
    measures.refused();
    measures.turnedAway();
    measures.turnedAway();
    assertThat(text())
        .contains("brig_requests_refused_total 1")
        .contains("brig_connections_turned_away_total 2");
  }

  @Test
  void whatThereIsOnTheNodeIsTold() {
    assertThat(text())
        .contains("brig_build_info{version=\"1.2\"} 1")
        .contains("brig_pods{keeper=\"connected\"} 2")
        .contains("brig_pods{keeper=\"away\"} 1")
        .contains("brig_containers{state=\"running\"} 3")
        .contains("brig_execs 4")
        .contains("brig_id_ranges 2")
        .contains("brig_id_ranges_max 4094")
        .containsPattern("(?m)^process_resident_memory_bytes [1-9][0-9]+$")
        .containsPattern("(?m)^process_open_fds [1-9][0-9]*$");
  }

  @Property
  void namesThatClientsInventMakeNoSeries(@ForAll String method, @ForAll int code) {
    measures.call("x" + method, code, 1);
    assertThat(text()).contains("method=\"other\"").doesNotContain("method=\"x");
  }

  private String text() {
    return measures.text(Format.PROMETHEUS, () -> NODE);
  }
}
