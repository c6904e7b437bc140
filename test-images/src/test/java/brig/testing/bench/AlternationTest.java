package brig.testing.bench;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

final class AlternationTest {

  @Test
  void everySubjectComesFirstInTurn() {
    List<Subject> order = new ArrayList<>();
    new Alternation(List.of(Subject.BRIG, Subject.RUNC, Subject.NULL))
        .measure(
            0,
            3,
            subject -> {
              order.add(subject);
              return 0;
            });
    assertThat(order)
        .containsExactly(
            Subject.BRIG,
            Subject.RUNC,
            Subject.NULL,
            Subject.RUNC,
            Subject.NULL,
            Subject.BRIG,
            Subject.NULL,
            Subject.BRIG,
            Subject.RUNC);
  }

  @Test
  void warmUpsDoNotCount() {
    List<Subject> calls = new ArrayList<>();
    var samples =
        new Alternation(List.of(Subject.NULL))
            .measure(
                2,
                3,
                subject -> {
                  calls.add(subject);
                  return calls.size();
                });
    assertThat(calls).hasSize(5);
    Samples counted = samples.getOrDefault(Subject.NULL, new Samples());
    assertThat(counted.count()).isEqualTo(3);
    assertThat(counted.quantile(0)).isEqualTo(3);
  }
}
