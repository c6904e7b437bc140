package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.cri.CriClient;
import brig.testing.cri.Pod;
import brig.testing.proto.cri.Mount;
import brig.testing.proto.cri.PodSandboxConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
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

  /** A directory where kubelet would make a volume. */
  final Path volume(String mode) throws IOException {
    Path directory =
        Files.createDirectories(
            containerd.directory().resolve("volumes").resolve(Names.fresh("volume")));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString(mode));
    return directory;
  }

  static Mount at(String inside, Path host) {
    return Mount.newBuilder().setContainerPath(inside).setHostPath(host.toString()).build();
  }
}
