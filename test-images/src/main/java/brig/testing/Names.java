package brig.testing;

import java.util.concurrent.atomic.AtomicInteger;

/** Names that no other test of this or an earlier run has used. */
public final class Names {

  private static final String RUN = Long.toString(System.nanoTime() & 0xffffffffL, 36);
  private static final AtomicInteger COUNTER = new AtomicInteger();

  private Names() {}

  /** Whether this run has made the name. */
  public static boolean isOfThisRun(String name) {
    return name.contains("-" + RUN + "-");
  }

  public static String fresh(String what) {
    return what + "-" + RUN + "-" + COUNTER.incrementAndGet();
  }
}
