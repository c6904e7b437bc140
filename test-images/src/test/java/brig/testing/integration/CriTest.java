package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.cri.CriClient;
import brig.testing.cri.Pod;
import brig.testing.proto.cri.PodSandboxConfig;
import java.util.function.Consumer;

/** A test that speaks CRI, as kubelet does; what it made is removed at its end. */
abstract class CriTest extends TidyTest {

  final Containerd containerd;
  final CriClient cri;

  CriTest(Containerd containerd) {
    this.containerd = containerd;
    this.cri = keep(new CriClient(containerd));
  }

  final Pod pod() {
    return pod(config -> {});
  }

  final Pod pod(Consumer<PodSandboxConfig.Builder> change) {
    return keep(cri.pod(change));
  }
}
