package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.Settings;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/** The program behind {@code scripts/faults}. Its exit status is 1 if a promise was broken. */
public final class Faults {

  private Faults() {}

  public static void main(String[] arguments) {
    Storm storm;
    try {
      storm = parse(arguments);
    } catch (IllegalArgumentException e) {
      System.err.println("faults: " + e.getMessage() + " (--help)");
      System.exit(2);
      return;
    }
    Settings settings = Settings.fromProperties();
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
        settings.versions().getFirst());
    long begin = System.nanoTime();
    Ledger ledger;
    try (Containerd containerd = Containerd.start(settings, settings.versions().getFirst())) {
      ledger = storm.pass(containerd);
    }
    report(ledger, Duration.ofNanos(System.nanoTime() - begin));
    System.exit(ledger.problems().isEmpty() ? 0 : 1);
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

  private static Storm parse(String[] arguments) {
    long seed = ThreadLocalRandom.current().nextLong(1_000_000);
    int lives = 1000;
    int inFlight = 10;
    int pause = 2000;
    Optional<Duration> containerdPause = Optional.empty();
    for (int i = 0; i < arguments.length; i += 2) {
      if (i + 1 == arguments.length) {
        throw new IllegalArgumentException(arguments[i] + " wants a number");
      }
      String value = arguments[i + 1];
      switch (arguments[i]) {
        case "--seed" -> seed = number(arguments[i], value, Long.MAX_VALUE);
        case "--lives" -> lives = (int) number(arguments[i], value, 1_000_000);
        case "--in-flight" -> inFlight = (int) number(arguments[i], value, 100);
        case "--every" -> pause = (int) number(arguments[i], value, 3_600_000);
        case "--containerd-every" ->
            containerdPause =
                Optional.of(Duration.ofMillis(number(arguments[i], value, 3_600_000)));
        default -> throw new IllegalArgumentException(arguments[i] + ": unknown");
      }
    }
    return new Storm(seed, lives, inFlight, Duration.ofMillis(pause), containerdPause);
  }

  private static long number(String option, String value, long most) {
    try {
      long number = Long.parseLong(value);
      if (number >= 1 && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new IllegalArgumentException(option + " " + value + ": not a number from 1 to " + most);
  }
}
