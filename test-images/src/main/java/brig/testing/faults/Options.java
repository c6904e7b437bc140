package brig.testing.faults;

import java.time.Duration;
import java.util.Optional;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The words of {@code scripts/faults}.
 *
 * @param soak lives of a soak; 0: none is asked for, but the storm
 */
record Options(Storm storm, int soak) {

  private static final int MOST_LIVES = 1_000_000;
  private static final int HOUR_MILLIS = 3_600_000;

  static Options parse(String[] arguments) {
    long seed = ThreadLocalRandom.current().nextLong(1_000_000);
    int lives = 1000;
    int soak = 0;
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
        case "--lives" -> lives = (int) number(arguments[i], value, MOST_LIVES);
        case "--soak" -> soak = (int) number(arguments[i], value, MOST_LIVES);
        case "--in-flight" -> inFlight = (int) number(arguments[i], value, 100);
        case "--every" -> pause = (int) number(arguments[i], value, HOUR_MILLIS);
        case "--containerd-every" ->
            containerdPause =
                Optional.of(Duration.ofMillis(number(arguments[i], value, HOUR_MILLIS)));
        default -> throw new IllegalArgumentException(arguments[i] + ": unknown");
      }
    }
    return new Options(
        new Storm(seed, lives, inFlight, Duration.ofMillis(pause), containerdPause), soak);
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
