package brig.testing.faults;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;

/** What happened in a storm. All methods may be called by any thread. */
public final class Ledger {

  /** A call of a client's, by {@link System#nanoTime()}. */
  public record Call(String name, long begin, long end) {

    public Duration time() {
      return Duration.ofNanos(end - begin);
    }

    boolean spans(long instant) {
      return begin <= instant && instant <= end;
    }
  }

  private final List<String> problems = new ArrayList<>();
  private final List<Call> calls = new ArrayList<>();
  private final List<Long> faults = new ArrayList<>();
  private int restarts;

  synchronized void problem(String text) {
    problems.add(text);
  }

  void expect(String what, Object wanted, Object seen) {
    if (!wanted.equals(seen)) {
      problem(what + ": " + wanted + " was expected, " + seen + " came");
    }
  }

  synchronized void call(String name, long begin, long end) {
    calls.add(new Call(name, begin, end));
  }

  synchronized void fault(long instant) {
    faults.add(instant);
  }

  synchronized void restart() {
    restarts++;
  }

  /** Every promise that was broken, one line each. */
  public synchronized List<String> problems() {
    return List.copyOf(problems);
  }

  public synchronized int calls() {
    return calls.size();
  }

  /** How often brigd was killed. */
  public synchronized int faults() {
    return faults.size();
  }

  /** How often containerd was killed and started again. */
  public synchronized int restarts() {
    return restarts;
  }

  /** The longest call that was under way at some fault. */
  public synchronized Optional<Call> longestSpanning() {
    return calls.stream()
        .filter(call -> faults.stream().anyMatch(call::spans))
        .max(Comparator.comparing(Call::time));
  }

  public synchronized long spanning() {
    return calls.stream().filter(call -> faults.stream().anyMatch(call::spans)).count();
  }

  public synchronized Optional<Call> longest() {
    return calls.stream().max(Comparator.comparing(Call::time));
  }
}
