package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.Spec;

/** Fields that this wall can't enforce. They are refused by name, never ignored. */
final class Refused {
  private Refused() {}

  static void check(Spec spec) throws BrigException {
    if (spec.linux().intelRdt().isPresent()) {
      throw Refusal.notEnforced(
          "linux.intelRdt", "Brig doesn't assign cache and memory bandwidth", "leave it out");
    }
    if (!spec.linux().netDevices().isEmpty()) {
      throw Refusal.notEnforced(
          "linux.netDevices", "Brig doesn't move network devices", "let CNI move the device");
    }
  }
}
