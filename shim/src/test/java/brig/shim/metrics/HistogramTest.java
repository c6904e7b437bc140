package brig.shim.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import brig.shim.metrics.Exposition.Format;
import java.math.BigDecimal;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.LongRange;
import net.jqwik.api.constraints.Size;

class HistogramTest {
  @Property
  void eachBucketHasAllThatTookNoLonger(
      @ForAll @Size(max = 30) List<@LongRange(min = 0, max = 20_000_000_000L) Long> durations) {
    Histogram histogram = new Histogram();
    durations.forEach(histogram::add);
    Exposition text = new Exposition(Format.PROMETHEUS);
    histogram.writeTo(text, "a", "");
    int buckets = 0;
    for (String line : text.finished().lines().toList()) {
      String value = line.substring(line.indexOf(' ') + 1);
      if (line.startsWith("a_bucket")) {
        buckets++;
        String bound = line.substring(line.indexOf('"') + 1, line.lastIndexOf('"'));
        assertThat(value).as(line).isEqualTo(Long.toString(atMost(durations, bound)));
      } else if (line.startsWith("a_sum")) {
        long sum = durations.stream().mapToLong(Long::longValue).sum();
        assertThat(new BigDecimal(value).movePointRight(9))
            .isEqualByComparingTo(Long.toString(sum));
      } else {
        assertThat(line).isEqualTo("a_count " + durations.size());
      }
    }
    assertThat(buckets).isGreaterThan(10);
  }

  private static long atMost(List<Long> durations, String bound) {
    if (bound.equals("+Inf")) {
      return durations.size();
    }
    BigDecimal nanos = new BigDecimal(bound).movePointRight(9);
    return durations.stream()
        .filter(took -> BigDecimal.valueOf(took).compareTo(nanos) <= 0)
        .count();
  }
}
