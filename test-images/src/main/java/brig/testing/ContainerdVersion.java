package brig.testing;

import java.util.Arrays;

/**
 * A containerd that the tests run against, by the name that {@code test-images/fetch-containerd}
 * takes.
 */
public enum ContainerdVersion {
  V1_6("1.6"),
  V1_7("1.7"),
  V2_1("2.1");

  private final String label;

  ContainerdVersion(String label) {
    this.label = label;
  }

  public static ContainerdVersion of(String label) {
    return Arrays.stream(values())
        .filter(version -> version.label.equals(label))
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("no containerd version " + label));
  }

  public boolean atLeast(ContainerdVersion other) {
    return compareTo(other) >= 0;
  }

  @Override
  public String toString() {
    return label;
  }
}
