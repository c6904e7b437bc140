package brig.shim.task;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/**
 * The containers of this node that were deleted last, for who asks about them afterwards. Bounded,
 * and gone with the daemon.
 */
public final class GoneContainers {
  /** Each is some tens of kilobytes. */
  static final int MOST = 64;

  private final Deque<GoneContainer> all = new ArrayDeque<>();

  synchronized void add(GoneContainer last) {
    if (all.size() == MOST) {
      all.removeFirst();
    }
    all.addLast(last);
  }

  /** The latest at the end. */
  public synchronized List<GoneContainer> list() {
    return List.copyOf(all);
  }
}
