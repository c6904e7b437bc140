package brig.sandbox.spec;

import java.util.Set;

/** {@code process.capabilities}: the five sets, by the names of linux/capability.h. */
public record CapabilitySets(
    Set<Capability> bounding,
    Set<Capability> effective,
    Set<Capability> inheritable,
    Set<Capability> permitted,
    Set<Capability> ambient) {
  public CapabilitySets {
    bounding = Set.copyOf(bounding);
    effective = Set.copyOf(effective);
    inheritable = Set.copyOf(inheritable);
    permitted = Set.copyOf(permitted);
    ambient = Set.copyOf(ambient);
  }
}
