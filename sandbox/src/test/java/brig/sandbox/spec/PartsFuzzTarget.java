package brig.sandbox.spec;

import brig.sandbox.BrigException;

/** The documents that come with Exec and Update. */
public final class PartsFuzzTarget {
  private PartsFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    try {
      SpecParser.parseProcess(bytes);
    } catch (BrigException refused) {
      check(refused);
    }
    try {
      SpecParser.parseResources(bytes);
    } catch (BrigException refused) {
      check(refused);
    }
  }

  private static void check(BrigException refused) {
    if (refused.kind() != BrigException.Kind.INVALID_ARGUMENT) {
      throw new IllegalStateException(refused);
    }
  }
}
