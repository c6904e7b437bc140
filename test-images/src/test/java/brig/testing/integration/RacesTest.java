package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Mounts;
import brig.testing.spec.OciSpec;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Names that are exchanged without pause while containers start on them. The native tests do the
 * same a thousand times; here the whole way from containerd is in between.
 */
@OneContainerd
@OnlyBrig
class RacesTest extends ClientTest {

  private static final int ROUNDS = 50;

  private final Path place;
  private final Path volume;
  private final Path host;

  RacesTest(Containerd containerd) throws IOException {
    super(containerd);
    place = place("races");
    volume = Files.createDirectory(place.resolve("volume"));
    host = Files.createDirectory(place.resolve("host"));
    for (Path directory : List.of(place, volume, host)) {
      Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwxrwxrwx"));
    }
  }

  @Test
  void theSourceThatWasLookedAtIsTheOneThatIsMounted() throws IOException {
    Path plain = Files.createDirectory(place.resolve("plain"));
    Path link = place.resolve("link");
    Files.createSymbolicLink(link, host);
    Files.writeString(plain.resolve("which"), "plain");
    Files.writeString(host.resolve("which"), "host");
    String ofPlain = inode(plain.resolve("which"));
    String ofHost = inode(host.resolve("which"));
    Set<String> seen = new TreeSet<>();
    try (Command.Running swapper =
        Command.of(
                containerd.settings().probe().toString(), "swap", plain.toString(), link.toString())
            .start()) {
      for (int round = 0; round < ROUNDS; round++) {
        try (TestContainer container =
            client.container(
                OciSpec.running("stat", "-c", "%i", "/data/which")
                    .bind(plain.toString(), "/data", "ro"))) {
          TestProcess init = container.create();
          // What the mount table names is what is there.
          List<String> roots =
              init.proc().mounts().stream()
                  .filter(entry -> entry.point().equals("/data"))
                  .map(Mounts.Entry::root)
                  .toList();
          assertThat(roots).hasSize(1);
          init.start();
          init.await();
          String inode = init.stdio().stdout().strip();
          assertThat(inode).isIn(ofPlain, ofHost);
          // The kernel tells the directory's name of this moment, of which the host's has one only.
          assertThat(roots.getFirst().endsWith("/host")).isEqualTo(inode.equals(ofHost));
          seen.add(inode);
        }
      }
      assertThat(swapper.alive()).isTrue();
    }
    assertThat(seen).as("both were met").hasSize(2);
  }

  private static String inode(Path file) throws IOException {
    return Files.getAttribute(file, "unix:ino").toString();
  }

  @Test
  void aTargetThatAWorkloadExchangesForALinkLeadsNowhere() throws IOException {
    Path target = Files.createDirectory(volume.resolve("target"));
    Files.setPosixFilePermissions(target, PosixFilePermissions.fromString("rwxrwxrwx"));
    Files.createSymbolicLink(
        volume.resolve("link"), Path.of("../../../../../..").resolve(host.toString().substring(1)));
    Files.setAttribute(target, "unix:uid", 0);
    TestContainer hostile =
        container(
            OciSpec.running("brig-probe", "swap", "/data/target", "/data/link")
                .bind(volume.toString(), "/data", "rw"));
    TestProcess swapping = hostile.start();
    swapping.stdio().awaitStdout("swapping");
    int started = 0;
    for (int round = 0; round < ROUNDS; round++) {
      OciSpec spec =
          OciSpec.running("true")
              .bind(volume.toString(), "/data", "rw")
              .mount("tmpfs", "tmpfs", "/data/target/made", "nosuid")
              .workingDirectory("/data/target");
      try (TestContainer container = client.container(spec)) {
        container.run(Stdio.none());
        started++;
      } catch (StatusRuntimeException refused) {
        // Where a name leads somewhere else each time it is looked at, that may be told.
        assertThat(refused.getStatus().getDescription()).contains("/data/target");
      }
    }
    assertThat(swapping.status()).isEqualTo(brig.testing.proto.task.Status.RUNNING);
    assertThat(started).isPositive();
    try (Stream<Path> made = Files.list(host)) {
      assertThat(made).isEmpty();
    }
    assertThat(Mounts.beneath(place)).isEmpty();
  }
}
