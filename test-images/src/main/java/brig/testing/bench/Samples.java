package brig.testing.bench;

import java.util.Arrays;

/** Measured values of one kind, at first in the order in which they were taken. */
public final class Samples {

  private double[] values = new double[64];
  private int count;

  public void add(double value) {
    if (count == values.length) {
      values = Arrays.copyOf(values, 2 * count);
    }
    values[count++] = value;
  }

  public int count() {
    return count;
  }

  public double median() {
    return quantile(0.5);
  }

  /** The later half of the values: for what grows warm while it is measured. */
  public Samples lastHalf() {
    Samples later = new Samples();
    for (int i = count / 2; i < count; i++) {
      later.add(values[i]);
    }
    return later;
  }

  /** The smallest value that at least this share of all values don't exceed (nearest rank). */
  public double quantile(double share) {
    if (count == 0) {
      throw new IllegalStateException("nothing was measured");
    }
    double[] sorted = Arrays.copyOf(values, count);
    Arrays.sort(sorted);
    int rank = (int) Math.ceil(share * count);
    return sorted[Math.clamp(rank - 1, 0, count - 1)];
  }
}
