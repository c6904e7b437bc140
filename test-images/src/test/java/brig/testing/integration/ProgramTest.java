package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Images;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.proto.cri.ContainerConfig;
import brig.testing.proto.cri.ImageSpec;
import java.util.List;
import java.util.function.Consumer;

/**
 * A test that runs a program of {@code test-images/programs} in a pod, unchanged, and uses it as
 * its users do.
 */
abstract class ProgramTest extends CriTest {

  ProgramTest(Containerd containerd) {
    super(containerd);
  }

  /** A container of a program's image, started as the image says. */
  final PodContainer program(Pod pod, String name) {
    return program(pod, name, config -> {});
  }

  final PodContainer program(Pod pod, String name, Consumer<ContainerConfig.Builder> change) {
    containerd.load(Containerd.CRI_NAMESPACE, name);
    String image = Images.of(name);
    // CRI learns of it by an event.
    Eventually.holds("CRI has " + image, () -> cri.hasImage(image));
    return pod.start(config -> {
      config.setImage(ImageSpec.newBuilder().setImage(image));
      change.accept(config);
    });
  }

  /** A container of a program's image that waits for what is executed in it. */
  final PodContainer workplace(Pod pod, String name) {
    return program(pod, name, config -> config.addAllCommand(List.of("sleep", "600")));
  }

  /** The host's id of a user of a container. */
  static long outside(PodContainer container, long inside) {
    return container.proc().uidMap().getFirst().outside() + inside;
  }

  /** The id that a name has in a container. */
  static long idOf(PodContainer container, String user) {
    return Long.parseLong(container.sh("id -u " + user));
  }
}
