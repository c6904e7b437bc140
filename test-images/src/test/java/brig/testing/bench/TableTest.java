package brig.testing.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class TableTest {

  @Test
  void columnsAreAlignedAndALostRowIsMarked() {
    String table =
        Table.render(
            List.of(
                new Row(
                    "a",
                    "something",
                    "ms",
                    Row.Kind.COST,
                    1,
                    Map.of(Subject.BRIG, 80.0, Subject.RUNC, 40.0, Subject.NULL, 0.5)),
                new Row("b", "other", "kB", Row.Kind.COST, 1, Map.of(Subject.BRIG, 12345.6))));
    assertThat(table)
        .isEqualTo(
            """
                       unit   brig  runc  crun   null  brig:runc  brig-null  runc-null  share
            something  ms     80.0  40.0     -  0.500     2.00 !       79.5       39.5   2.01
            other      kB    12346     -     -      -        -            -          -      -
            """);
  }
}
