package brig.testing.bench;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.DoubleRange;
import net.jqwik.api.constraints.NotEmpty;
import org.junit.jupiter.api.Test;

final class SamplesTest {

  private static Samples of(List<Double> values) {
    Samples samples = new Samples();
    values.forEach(samples::add);
    return samples;
  }

  @Test
  void quantilesAreValuesThatWereMeasured() {
    Samples samples = new Samples();
    for (int i = 200; i > 0; i--) {
      samples.add(i);
    }
    assertThat(samples.median()).isEqualTo(100);
    assertThat(samples.quantile(0.99)).isEqualTo(198);
    assertThat(samples.quantile(1)).isEqualTo(200);
  }

  @Test
  void nothingMeasuredIsNoFigure() {
    assertThatIllegalStateException().isThrownBy(() -> new Samples().median());
  }

  @Test
  void theLaterHalfIsByTimeNotBySize() {
    assertThat(of(List.of(9.0, 8.0, 1.0, 2.0)).lastHalf().quantile(1)).isEqualTo(2);
  }

  @Property
  void atLeastTheShareDoesNotExceedAQuantile(
      @ForAll @NotEmpty List<Double> values, @ForAll @DoubleRange(min = 0, max = 1) double share) {
    double quantile = of(values).quantile(share);
    assertThat(values.stream().filter(value -> value.compareTo(quantile) <= 0).count())
        .isGreaterThanOrEqualTo((long) Math.floor(share * values.size()));
  }
}
