package brig.sandbox.plan;

import brig.proto.plan.Capabilities;
import brig.sandbox.BrigException;
import brig.sandbox.spec.Capability;
import brig.sandbox.spec.CapabilitySets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/** The five capability sets, held in the container's user namespace. Absent: none at all. */
final class CapabilityPlan {
  private static final String FIELD = "process.capabilities";

  private CapabilityPlan() {}

  /**
   * @param last the highest capability that the kernel knows
   */
  static Capabilities plan(Optional<CapabilitySets> asked, int last, List<String> notes)
      throws BrigException {
    if (asked.isEmpty()) {
      return Capabilities.getDefaultInstance();
    }
    CapabilitySets sets = asked.get();
    Capabilities planned =
        Capabilities.newBuilder()
            .setBounding(bits(sets.bounding(), last, notes))
            .setEffective(bits(sets.effective(), last, notes))
            .setPermitted(bits(sets.permitted(), last, notes))
            .setInheritable(bits(sets.inheritable(), last, notes))
            .setAmbient(bits(sets.ambient(), last, notes))
            .build();
    subset("effective", planned.getEffective(), "permitted", planned.getPermitted());
    subset("inheritable", planned.getInheritable(), "bounding", planned.getBounding());
    subset("ambient", planned.getAmbient(), "permitted", planned.getPermitted());
    subset("ambient", planned.getAmbient(), "inheritable", planned.getInheritable());
    return planned;
  }

  /**
   * The sets of an exec, without what the container itself may not have.
   *
   * @param ceiling the container's own
   */
  static Capabilities below(Capabilities ceiling, Capabilities asked, List<String> notes) {
    long permitted = ceiling.getBounding();
    long beyond =
        (asked.getBounding() | asked.getPermitted() | asked.getInheritable()) & ~permitted;
    if (beyond != 0) {
      notes.add(
          "capabilities: the container itself has no "
              + String.join(", ", names(beyond))
              + ", so the process has none either");
    }
    return Capabilities.newBuilder()
        .setBounding(asked.getBounding() & permitted)
        .setEffective(asked.getEffective() & permitted)
        .setPermitted(asked.getPermitted() & permitted)
        .setInheritable(asked.getInheritable() & permitted)
        .setAmbient(asked.getAmbient() & permitted)
        .build();
  }

  static List<String> names(long bits) {
    List<String> names = new ArrayList<>();
    for (Capability capability : Capability.values()) {
      if ((bits & 1L << capability.number()) != 0) {
        names.add(capability.specName());
      }
    }
    return names;
  }

  private static long bits(Set<Capability> capabilities, int last, List<String> notes) {
    long bits = 0;
    for (Capability capability : capabilities) {
      if (capability.number() <= last) {
        bits |= 1L << capability.number();
      } else {
        String note = "capabilities: this kernel has no " + capability.specName();
        if (!notes.contains(note)) {
          notes.add(note);
        }
      }
    }
    return bits;
  }

  /** The kernel would refuse these one by one; here the message names the set. */
  private static void subset(String name, long bits, String ofName, long of) throws BrigException {
    long beyond = bits & ~of;
    if (beyond != 0) {
      throw Refusal.invalid(
          FIELD + "." + name,
          "has " + String.join(", ", names(beyond)) + ", which " + ofName + " has not",
          "");
    }
  }
}
