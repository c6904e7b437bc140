package brig.testing.bench;

import brig.testing.Names;
import brig.testing.Settings;

/** A runtime that is measured. */
public enum Subject {
  BRIG(Settings.BRIG),
  /** containerd's own shim with runc behind it: what there is today. */
  RUNC(Settings.RUNC),
  /** The same shim with crun behind it, where the machine has crun. */
  CRUN(Settings.CRUN),
  /** The null shim: what containerd and its client cost whoever serves them. */
  NULL(Settings.NULL);

  /** The null shim keeps a container running whose id begins with this. */
  private static final String HOLD = "hold-";

  private final String runtime;

  Subject(String runtime) {
    this.runtime = runtime;
  }

  /** What containerd calls it. */
  public String runtime() {
    return runtime;
  }

  /** Its name in tables and files. */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }

  /** The program that containerd looks for. */
  public String program() {
    String[] parts = runtime.split("\\.");
    return "containerd-shim-" + parts[parts.length - 2] + "-" + parts[parts.length - 1];
  }

  /** An id for a container that ends by itself. */
  public String freshId() {
    return Names.fresh(label());
  }

  /** An id for a container that runs until it is killed. */
  public String freshHeldId() {
    return Names.fresh(HOLD + label());
  }
}
