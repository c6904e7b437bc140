package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What an operator may choose for file systems that can't be idmapped. */
@OneContainerd
class UnshiftedRootTest extends OwnContainerd {

  UnshiftedRootTest(Containerd shared) throws IOException {
    super(shared, "[class.brig]\nunmappable = \"unshifted\"\n");
  }

  /** A FUSE server that doesn't say it can be idmapped. */
  @Test
  void aRootOnFuseKeepsTheHostsIds() throws IOException {
    Path directory = place("unshifted");
    Path image = directory.resolve("image");
    Files.createDirectories(image.resolve("bin"));
    for (String name : new String[] {"proc", "sys", "dev", "run"}) {
      Files.createDirectory(image.resolve(name));
    }
    Files.copy(Path.of("/bin/busybox"), image.resolve("bin/busybox"));
    Command.of("chmod", "-R", "a+rX", directory.toString()).run().orFail();
    Path fuse = Files.createDirectory(directory.resolve("fuse"));
    Command.of("bindfs", image.toString(), fuse.toString()).run().orFail();
    keep(() -> Command.of("umount", "-l", fuse.toString()).run().orFail());
    ContainerdClient client = keep(containerd.client());
    TestContainer container =
        keep(
            client.containerOnItsOwnRoot(
                OciSpec.running("/bin/busybox", "stat", "-c", "%u %n", "/bin/busybox")
                    .rootPath(fuse.toString())));
    Stdio stdio = Stdio.captured();
    assertThat(container.run(stdio).status()).isZero();
    assertThat(stdio.stdout()).isEqualTo("65534 /bin/busybox\n");
  }
}
