package brig.sandbox.spec;

import java.util.Optional;

/** I/O scheduling classes and their numbers in linux/ioprio.h. */
public enum IoPriorityClass {
  REALTIME("IOPRIO_CLASS_RT", 1),
  BEST_EFFORT("IOPRIO_CLASS_BE", 2),
  IDLE("IOPRIO_CLASS_IDLE", 3);

  private final String specName;
  private final int number;

  IoPriorityClass(String specName, int number) {
    this.specName = specName;
    this.number = number;
  }

  /** Value in the kernel's interface. */
  public int number() {
    return number;
  }

  private static final IoPriorityClass[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<IoPriorityClass> ofSpecName(String specName) {
    for (IoPriorityClass value : VALUES) {
      if (value.specName.equals(specName)) {
        return Optional.of(value);
      }
    }
    return Optional.empty();
  }

  public String specName() {
    return specName;
  }
}
