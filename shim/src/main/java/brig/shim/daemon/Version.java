package brig.shim.daemon;

import java.util.Map;

/** Versions of the program and of what it speaks. */
public final class Version {
  /** Of keeper.proto: major * 1000 + minor. */
  public static final int KEEPER_PROTOCOL = 1002;

  /** Of plan.proto: major * 1000 + minor. */
  public static final int PLAN = 1000;

  private static final int MAJOR = 1000;

  private Version() {}

  /** Of this program, from its jar. */
  public static String program() {
    String version = Version.class.getPackage().getImplementationVersion();
    return version == null ? "unreleased" : version;
  }

  /** For {@code brig version}. */
  static String text() {
    return "brigd "
        + program()
        + ", keeper protocol "
        + dotted(KEEPER_PROTOCOL)
        + ", plan "
        + dotted(PLAN)
        + ", Java "
        + Runtime.version()
        + "\n";
  }

  /** For the metrics. */
  static Map<String, String> labels() {
    return Map.of(
        "version", program(), "keeper_protocol", dotted(KEEPER_PROTOCOL), "plan", dotted(PLAN));
  }

  private static String dotted(int version) {
    return version / MAJOR + "." + version % MAJOR;
  }

  static boolean speaksWith(int ours, int theirs) {
    return ours / MAJOR == theirs / MAJOR;
  }
}
