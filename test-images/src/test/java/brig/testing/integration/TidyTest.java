package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

/** A test whose makings are removed at its end. */
abstract class TidyTest {

  private final Deque<AutoCloseable> made = new ArrayDeque<>();

  /** Closed at the end of the test, in reverse order. */
  final <T extends AutoCloseable> T keep(T resource) {
    made.push(resource);
    return resource;
  }

  @AfterEach
  final void removeWhatWasMade() {
    List<Throwable> failures = new ArrayList<>();
    while (!made.isEmpty()) {
      try {
        made.pop().close();
      } catch (Exception | AssertionError e) {
        failures.add(e);
      }
    }
    assertThat(failures).as("what the test made is removed").isEmpty();
  }
}
