package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.ids.IdRanges;
import brig.shim.log.Log;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import java.util.function.Supplier;

/**
 * Frees the ids of pods whose keeper is gone for good.
 *
 * <p>A pod that has ids but no connection is lost when its keeper is dead, no process of its record
 * is alive, and no process on the host maps any of its ids. Until then, and for a while after the
 * connection ended, its ids stay taken. Records and cgroups are left for the launcher's {@code
 * delete}, which containerd runs for each of the pod's containers.
 */
final class LostPods {
  /** A keeper that lives comes back within seconds. */
  static final Duration GRACE = Duration.ofSeconds(30);

  private static final Duration SHORTEST_PAUSE = Duration.ofSeconds(5);
  private static final Duration LONGEST_PAUSE = Duration.ofMinutes(1);

  private final IdRanges ids;
  private final PodRecords records;
  private final Supplier<Set<String>> connected;
  private final LongSupplier nanos;
  private final Log log;
  private final Map<String, Long> lostSince = new HashMap<>();
  private final AtomicBoolean looking = new AtomicBoolean();

  /**
   * @param connected instances of the keepers that are there
   * @param nanos as {@link System#nanoTime}: time that passes whatever the host's clock is set to
   */
  LostPods(
      IdRanges ids,
      PodRecords records,
      Supplier<Set<String>> connected,
      LongSupplier nanos,
      Log log) {
    this.ids = ids;
    this.records = records;
    this.connected = connected;
    this.nanos = nanos;
    this.log = log;
  }

  /**
   * To be called when a connection has ended, and at the daemon's start: looks until none is lost.
   */
  void look() {
    if (looking.compareAndSet(false, true)) {
      Thread.ofVirtual().name("lost pods").start(this::lookOnAndOn);
    }
  }

  private void lookOnAndOn() {
    Duration pause = SHORTEST_PAUSE;
    try {
      while (sweep()) {
        Thread.sleep(pause);
        Duration longer = pause.multipliedBy(2);
        pause = longer.compareTo(LONGEST_PAUSE) > 0 ? LONGEST_PAUSE : longer;
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } finally {
      looking.set(false);
    }
  }

  /** Frees what can be freed; whether some pod without a connection still has ids. */
  synchronized boolean sweep() {
    Set<String> lost = ids.pods();
    lost.removeAll(connected.get());
    lostSince.keySet().retainAll(lost);
    long now = nanos.getAsLong();
    lost.forEach(instance -> lostSince.putIfAbsent(instance, now));
    Set<String> due = new TreeSet<>(lost);
    due.removeIf(instance -> isRecent(instance, now));
    Set<String> released = release(due);
    lostSince.keySet().removeAll(released);
    return released.size() < lost.size();
  }

  private boolean isRecent(String instance, long now) {
    return now - lostSince.getOrDefault(instance, now) < GRACE.toNanos();
  }

  /** Looks once at what lives, whatever number of pods there are. */
  private Set<String> release(Set<String> due) {
    Set<String> released = new TreeSet<>(due);
    if (!due.isEmpty()) {
      released.removeAll(records.alive(due));
      released.removeAll(ids.mapped(due));
      released.removeIf(instance -> !release(instance));
      records.removeVacant(released);
    }
    return released;
  }

  private boolean release(String instance) {
    try {
      ids.release(instance);
    } catch (BrigException e) {
      log.warn("ids of a lost pod are free, but not on disk: " + e.getMessage());
      return false;
    }
    log.with("instance", instance).info("ids of a lost pod released");
    return true;
  }
}
