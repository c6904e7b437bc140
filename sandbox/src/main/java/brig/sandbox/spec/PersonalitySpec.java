package brig.sandbox.spec;

import java.util.List;

/** {@code linux.personality}; the specification defines no flag yet, so any is refused. */
public record PersonalitySpec(PersonalityDomain domain, List<String> flags) {
  public PersonalitySpec {
    flags = List.copyOf(flags);
  }
}
