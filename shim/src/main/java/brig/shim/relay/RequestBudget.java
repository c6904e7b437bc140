package brig.shim.relay;

import java.util.concurrent.atomic.AtomicLong;

/**
 * Bytes that requests of all keepers together may take until they are answered: what keepers keep
 * for their clients (up to 64 MiB each) would not fit into the daemon's heap.
 */
final class RequestBudget {
  /** A quarter of the heap that the daemon is given. */
  static final long BYTES = 16 << 20;

  private final AtomicLong left = new AtomicLong(BYTES);

  /** Whether there was so much; it is taken then. */
  boolean take(long bytes) {
    long now;
    do {
      now = left.get();
      if (bytes > now) {
        return false;
      }
    } while (!left.compareAndSet(now, now - bytes));
    return true;
  }

  /** Takes it in any case: what an earlier daemon has begun to serve is not refused any more. */
  void takeAnyway(long bytes) {
    left.addAndGet(-bytes);
  }

  void giveBack(long bytes) {
    left.addAndGet(bytes);
  }
}
