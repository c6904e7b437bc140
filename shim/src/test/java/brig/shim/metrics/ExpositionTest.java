package brig.shim.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import brig.shim.metrics.Exposition.Format;
import brig.shim.metrics.Exposition.Type;
import java.math.BigDecimal;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import org.junit.jupiter.api.Test;

class ExpositionTest {
  @Test
  void openMetricsNamesACountersFamilyWithoutItsSuffixAndEnds() {
    Exposition text = new Exposition(Format.OPEN_METRICS);
    text.single("a_seconds", Type.COUNTER, "What.", "1.5");
    assertThat(text.finished())
        .isEqualTo(
            """
            # TYPE a_seconds counter
            # UNIT a_seconds seconds
            # HELP a_seconds What.
            a_seconds_total 1.5
            # EOF
            """);
  }

  @Test
  void prometheusNamesItWithTheSuffixAndKnowsNoInfo() {
    Exposition text = new Exposition(Format.PROMETHEUS);
    text.single("a", Type.COUNTER, "What.", "1");
    text.single("b", Type.INFO, "Two\nlines.", "1");
    assertThat(text.finished())
        .isEqualTo(
            """
            # TYPE a_total counter
            # HELP a_total What.
            a_total 1
            # TYPE b_info gauge
            # HELP b_info Two\\nlines.
            b_info 1
            """);
  }

  @Test
  void quotesBackslashesAndLineEndsOfLabelsAreEscaped() {
    assertThat(Exposition.label("a", "b\"c\\d\ne")).isEqualTo("a=\"b\\\"c\\\\d\\ne\"");
  }

  @Property
  void secondsAreTheNanosecondsAsADecimalFraction(@ForAll @LongRange(min = 0) long nanos) {
    String text = Exposition.seconds(nanos);
    assertThat(text).matches("[0-9]+\\.[0-9]+");
    assertThat(new BigDecimal(text).movePointRight(9)).isEqualByComparingTo(Long.toString(nanos));
  }

  @Test
  void whoNamesOpenMetricsGetsIt() {
    assertThat(Format.of("text/html, application/OpenMetrics-text; version=1.0.0;q=0.5"))
        .isEqualTo(Format.OPEN_METRICS);
    assertThat(Format.of("*/*")).isEqualTo(Format.PROMETHEUS);
  }
}
