package brig.sandbox.plan;

import brig.sandbox.spec.Spec;
import java.util.List;
import java.util.Optional;

/**
 * All that the plan of a container depends on, besides the host's facts and the reports on its
 * sources.
 *
 * @param containerdNamespace containerd's namespace
 * @param id container id
 * @param bundle absolute path of the bundle, for relative {@code root.path} and messages
 * @param className runtime class, names the floor
 * @param spec the parsed config.json
 * @param rootfs mounts from the Create request; empty: {@code spec.root.path} is the root
 * @param terminal the Create request's word, which wins over the spec's
 * @param idRange the pod's own range, used when the spec brings no user namespace
 * @param podInit what the pod's first container (pause) made, for containers that join its
 *     namespaces: the pod's user namespace is shared by all its containers
 */
public record CreateInput(
    String containerdNamespace,
    String id,
    String bundle,
    String className,
    Spec spec,
    List<RootfsMount> rootfs,
    boolean terminal,
    IdRange idRange,
    Optional<PodUserNamespace> podInit) {
  public CreateInput {
    rootfs = List.copyOf(rootfs);
  }
}
