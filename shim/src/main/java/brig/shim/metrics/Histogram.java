package brig.shim.metrics;

import java.util.concurrent.atomic.AtomicLongArray;
import java.util.concurrent.atomic.LongAdder;

/**
 * Durations, counted by upper bounds that all histograms of the daemon share. Safe for use by many
 * threads.
 */
final class Histogram {
  /** In microseconds; from a step of the keeper's to containerd's longest patience. */
  private static final long[] BOUNDS = {
    100,
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000
  };

  private final AtomicLongArray counts = new AtomicLongArray(BOUNDS.length + 1);
  private final LongAdder nanos = new LongAdder();

  void add(long duration) {
    int bucket = 0;
    while (bucket < BOUNDS.length && duration > BOUNDS[bucket] * 1_000) {
      bucket++;
    }
    counts.incrementAndGet(bucket);
    nanos.add(Math.max(0, duration));
  }

  /** Writes its samples; the total is that of the buckets written, whatever is added meanwhile. */
  void writeTo(Exposition text, String family, String labels) {
    long total = 0;
    String separator = labels.isEmpty() ? "" : ",";
    for (int bucket = 0; bucket <= BOUNDS.length; bucket++) {
      total += counts.get(bucket);
      String bound = bucket < BOUNDS.length ? Exposition.seconds(BOUNDS[bucket] * 1_000) : "+Inf";
      text.sample(
          family + "_bucket",
          labels + separator + Exposition.label("le", bound),
          Long.toString(total));
    }
    text.sample(family + "_sum", labels, Exposition.seconds(nanos.sum()));
    text.sample(family + "_count", labels, Long.toString(total));
  }
}
