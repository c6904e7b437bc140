package brig.sandbox.plan;

import brig.proto.keeper.HostFacts;
import brig.sandbox.BrigException;
import brig.sandbox.spec.Spec;
import brig.sandbox.spec.SpecParser;

/** A config.json of anybody's: it is planned, on either kind of host, or refused. */
public final class SpecFuzzTarget {
  private SpecFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    Spec spec;
    try {
      spec = SpecParser.parse(bytes);
    } catch (BrigException refused) {
      if (refused.kind() != BrigException.Kind.INVALID_ARGUMENT) {
        throw new IllegalStateException(refused);
      }
      return;
    }
    plan(Fixture.hostV1(), spec);
    plan(Fixture.hostV2(), spec);
  }

  private static void plan(HostFacts.Builder host, Spec spec) {
    try {
      if (!Fixture.plan(host, Fixture.input(spec)).plan().getCreate().hasProcess()) {
        throw new IllegalStateException("a plan without a process");
      }
    } catch (BrigException refused) {
      if (String.valueOf(refused.getMessage()).isBlank()) {
        throw new IllegalStateException(refused);
      }
    }
  }
}
