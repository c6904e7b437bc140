package brig.sandbox.spec;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/** The whole of config.json, as the OCI runtime specification 1.3 defines it for Linux. */
public record Spec(
    String ociVersion,
    Optional<ProcessSpec> process,
    Optional<RootSpec> root,
    String hostname,
    String domainname,
    List<MountSpec> mounts,
    Hooks hooks,
    Map<String, String> annotations,
    LinuxSpec linux) {
  public Spec {
    mounts = List.copyOf(mounts);
    annotations = Ordered.copy(annotations);
  }
}
