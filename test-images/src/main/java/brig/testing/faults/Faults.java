package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.Settings;
import java.time.Duration;
import java.util.List;

/** The program behind {@code scripts/faults}. Its exit status is 1 if a promise was broken. */
public final class Faults {

  private Faults() {}

  public static void main(String[] arguments) {
    Options options;
    try {
      options = Options.parse(arguments);
    } catch (IllegalArgumentException e) {
      System.err.println("faults: " + e.getMessage() + " (--help)");
      System.exit(2);
      return;
    }
    Settings settings = Settings.fromProperties();
    boolean kept;
    try (Containerd containerd = Containerd.start(settings, settings.versions().getFirst())) {
      kept = options.soak() > 0 ? soak(containerd, options) : storm(containerd, options.storm());
    }
    System.exit(kept ? 0 : 1);
  }

  private static boolean soak(Containerd containerd, Options options) {
    Storm storm = options.storm();
    System.out.printf(
        "seed %d: %d lives, %d in flight, containerd %s%n",
        storm.seed(), options.soak(), storm.inFlight(), containerd.version());
    Soak.Outcome outcome =
        new Soak(storm.seed(), options.soak(), storm.inFlight()).pass(containerd);
    outcome.problems().forEach(problem -> System.out.println("BROKEN: " + problem));
    System.out.printf("%-40s %10s %10s %8s%n", "", "before", "after", "grown");
    outcome.rows().forEach(System.out::println);
    long grown = outcome.rows().stream().filter(row -> !row.isAllowed()).count();
    System.out.printf(
        "%d s: %d lives, %d promises broken, %d rows beyond their bounds%n",
        outcome.time().toSeconds(), options.soak(), outcome.problems().size(), grown);
    return outcome.problems().isEmpty() && grown == 0;
  }

  private static boolean storm(Containerd containerd, Storm storm) {
    System.out.printf(
        "seed %d: %d lives, %d in flight, brigd killed every %d ms%s, containerd %s%n",
        storm.seed(),
        storm.lives(),
        storm.inFlight(),
        storm.pause().toMillis(),
        storm
            .containerdPause()
            .map(pause -> ", containerd every " + pause.toMillis() + " ms")
            .orElse(""),
        containerd.version());
    long begin = System.nanoTime();
    Ledger ledger = storm.pass(containerd);
    report(ledger, Duration.ofNanos(System.nanoTime() - begin));
    return ledger.problems().isEmpty();
  }

  private static void report(Ledger ledger, Duration time) {
    List<String> problems = ledger.problems();
    problems.forEach(problem -> System.out.println("BROKEN: " + problem));
    System.out.printf(
        "%d s: brigd killed %d times, containerd %d times, %d calls of which %d span a kill of brigd,"
            + " %d promises broken%n",
        time.toSeconds(),
        ledger.faults(),
        ledger.restarts(),
        ledger.calls(),
        ledger.spanning(),
        problems.size());
    ledger
        .longestSpanning()
        .ifPresent(call -> System.out.println("longest call that spans a kill: " + told(call)));
    ledger.longest().ifPresent(call -> System.out.println("longest call: " + told(call)));
  }

  private static String told(Ledger.Call call) {
    return call.name() + ", " + call.time().toMillis() + " ms";
  }
}
