package brig.sandbox.spec;

import java.util.List;

/** {@code mounts[]}. */
public record MountSpec(
    String destination,
    String type,
    String source,
    List<String> options,
    List<IdMapSpec> uidMappings,
    List<IdMapSpec> gidMappings) {
  public MountSpec {
    options = List.copyOf(options);
    uidMappings = List.copyOf(uidMappings);
    gidMappings = List.copyOf(gidMappings);
  }
}
