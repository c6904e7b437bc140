package brig.sandbox.spec;

import java.util.Optional;

/** Kinds of namespaces. */
public enum NamespaceType {
  PID("pid"),
  NETWORK("network"),
  MOUNT("mount"),
  IPC("ipc"),
  UTS("uts"),
  USER("user"),
  CGROUP("cgroup"),
  TIME("time");

  private final String specName;

  NamespaceType(String specName) {
    this.specName = specName;
  }

  private static final NamespaceType[] VALUES = values();

  /** The constant whose name in the OCI specification this is. */
  public static Optional<NamespaceType> ofSpecName(String specName) {
    for (NamespaceType value : VALUES) {
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
