package brig.testing.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Map;
import org.junit.jupiter.api.Test;

final class RowTest {

  private static Row row(Row.Kind kind, double brig, double runc) {
    return new Row(
        "k", "t", "u", kind, 1, Map.of(Subject.BRIG, brig, Subject.RUNC, runc, Subject.NULL, 10.0));
  }

  @Test
  void aShareIsWhatIsAboveTheNullShim() {
    Row row = row(Row.Kind.COST, 30, 40);
    assertThat(row.share(Subject.BRIG)).hasValue(20);
    assertThat(row.share(Subject.RUNC)).hasValue(30);
    assertThat(row.ratio()).hasValue(0.75);
    assertThat(row.shareRatio()).hasValue(20.0 / 30);
  }

  @Test
  void thereIsNoShareOfRuncsWhereRuncCostsNoMoreThanTheNullShim() {
    assertThat(row(Row.Kind.COST, 30, 10).shareRatio()).isEmpty();
  }

  @Test
  void lessIsBetterForCostsAndWorseForRates() {
    assertThat(row(Row.Kind.COST, 41, 40).brigLoses()).isTrue();
    assertThat(row(Row.Kind.COST, 40, 40).brigLoses()).isFalse();
    assertThat(row(Row.Kind.RATE, 39, 40).brigLoses()).isTrue();
    assertThat(row(Row.Kind.RATE, 41, 40).brigLoses()).isFalse();
    assertThat(row(Row.Kind.RATE, 41, 40).share(Subject.BRIG)).isEmpty();
  }

  @Test
  void whatWasNotMeasuredIsNotInvented() {
    Row row = new Row("k", "t", "u", Row.Kind.COST, 1, Map.of(Subject.RUNC, 1.0));
    assertThat(row.value(Subject.BRIG)).isEmpty();
    assertThat(row.ratio()).isEmpty();
    assertThat(row.share(Subject.RUNC)).isEmpty();
    assertThat(row.shareRatio()).isEmpty();
    assertThat(row.brigLoses()).isFalse();
  }
}
