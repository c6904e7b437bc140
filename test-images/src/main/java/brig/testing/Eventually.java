package brig.testing;

import java.time.Duration;
import java.util.function.BooleanSupplier;
import java.util.function.Supplier;

/** Waits for a state of the kernel or of another process that no event tells of. */
public final class Eventually {

  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final long PAUSE_NANOS = 5_000_000;

  private Eventually() {}

  /** Returns once the condition holds, or fails with what was seen last. */
  public static void holds(String promise, BooleanSupplier condition, Supplier<?> seen) {
    if (!within(LIMIT, condition)) {
      throw new AssertionError(
          "not within " + LIMIT.toSeconds() + " s: " + promise + "; seen: " + seen.get());
    }
  }

  public static void holds(String promise, BooleanSupplier condition) {
    holds(promise, condition, () -> "nothing else");
  }

  public static boolean within(Duration limit, BooleanSupplier condition) {
    long end = System.nanoTime() + limit.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        return false;
      }
      java.util.concurrent.locks.LockSupport.parkNanos(PAUSE_NANOS);
    }
    return true;
  }
}
