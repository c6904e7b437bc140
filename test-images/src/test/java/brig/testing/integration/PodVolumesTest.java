package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.proto.cri.ContainerConfig;
import brig.testing.proto.cri.Int64Value;
import brig.testing.proto.cri.Mount;
import brig.testing.proto.cri.MountPropagation;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** Volumes as kubelet hands them to CRI: directories and files of the host, tmpfs among them. */
@EachContainerd
class PodVolumesTest extends CriTest {

  PodVolumesTest(Containerd containerd) {
    super(containerd);
  }

  private Path tmpfs() throws IOException {
    Path directory = volume("rwxr-xr-x");
    Command.of("mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "brig-it", directory.toString())
        .run()
        .orFail();
    keep(() -> Command.of("umount", "-R", directory.toString()).run().orFail());
    return directory;
  }

  private static Consumer<ContainerConfig.Builder> with(Mount... mounts) {
    return config -> config.addAllCommand(List.of("sleep", "600")).addAllMounts(List.of(mounts));
  }

  private static Consumer<ContainerConfig.Builder> withFor(long user, Mount... mounts) {
    return with(mounts)
        .andThen(config ->
            config
                .getLinuxBuilder()
                .getSecurityContextBuilder()
                .setRunAsUser(Int64Value.newBuilder().setValue(user)));
  }

  private static Object owner(Path file) throws IOException {
    return Files.getAttribute(file, "unix:uid");
  }

  @Test
  void aHostPathHasTheHostsIds() throws IOException {
    Path volume = volume("rwxr-xr-x");
    Files.writeString(volume.resolve("users"), "user's\n");
    Files.setAttribute(volume.resolve("users"), "unix:uid", 1000);
    PodContainer container = pod().start(with(at("/volume", volume)));
    assertThat(container.sh("stat -c %u /volume /volume/users")).isEqualTo("0\n1000");
    container.sh("echo inside > /volume/new; chown 1000 /volume/new");
    assertThat(owner(volume.resolve("new"))).isEqualTo(1000);
    assertThat(volume.resolve("new")).hasContent("inside\n");
  }

  @Test
  void anEmptyDirIsSharedByThePodsContainers() throws IOException {
    Path volume = volume("rwxrwxrwx");
    Pod pod = pod();
    PodContainer writer = pod.start(withFor(1000, at("/cache", volume)));
    PodContainer reader = pod.start(withFor(2000, at("/cache", volume)));
    writer.sh("echo handed over > /cache/file");
    assertThat(reader.sh("cat /cache/file; stat -c %u /cache/file")).isEqualTo("handed over\n1000");
    assertThat(reader.exec("sh", "-c", "echo x >> /cache/file").stderr())
        .contains("Permission denied");
  }

  @Test
  void aSecretOnTmpfsIsReadAndNotWritten() throws IOException {
    Path volume = tmpfs();
    // As kubelet's atomic writer lays a projected volume: a dated directory, and links through it.
    Path dated = Files.createDirectory(volume.resolve("..2026_11_22"));
    Files.writeString(dated.resolve("token"), "secret");
    Files.setPosixFilePermissions(
        dated.resolve("token"), PosixFilePermissions.fromString("r--r-----"));
    Files.setAttribute(dated.resolve("token"), "unix:gid", 2000);
    Files.createSymbolicLink(volume.resolve("..data"), Path.of("..2026_11_22"));
    Files.createSymbolicLink(volume.resolve("token"), Path.of("..data/token"));
    PodContainer container =
        pod()
            .start(
                withFor(1000, at("/var/run/secrets", volume).toBuilder().setReadonly(true).build())
                    .andThen(config ->
                        config
                            .getLinuxBuilder()
                            .getSecurityContextBuilder()
                            .addSupplementalGroups(2000)));
    assertThat(container.sh("cat /var/run/secrets/token; stat -L -c %u:%g /var/run/secrets/token"))
        .isEqualTo("secret0:2000");
    assertThat(container.exec("touch", "/var/run/secrets/new").stderr())
        .contains("Read-only file system");
    // An update swaps the link, and is seen.
    Path next = Files.createDirectory(volume.resolve("..2026_11_23"));
    Files.writeString(next.resolve("token"), "renewed");
    Files.createSymbolicLink(volume.resolve("..data_tmp"), Path.of("..2026_11_23"));
    Files.move(
        volume.resolve("..data_tmp"),
        volume.resolve("..data"),
        java.nio.file.StandardCopyOption.ATOMIC_MOVE,
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertThat(container.sh("cat /var/run/secrets/token")).isEqualTo("renewed");
  }

  @Test
  void aSingleFileIsMountedOverOneOfTheImage() throws IOException {
    Path file = Files.writeString(volume("rwxr-xr-x").resolve("motd"), "from a config map\n");
    PodContainer container = pod().start(with(at("/etc/motd", file), at("/new/deep/motd", file)));
    assertThat(container.sh("cat /etc/motd /new/deep/motd"))
        .isEqualTo("from a config map\nfrom a config map");
    container.sh("echo termination > /etc/motd");
    assertThat(file).hasContent("termination\n");
  }

  @Test
  void readOnlyMeansReadOnly() throws IOException {
    Path volume = volume("rwxrwxrwx");
    PodContainer container =
        pod().start(with(at("/volume", volume).toBuilder().setReadonly(true).build()));
    assertThat(container.exec("touch", "/volume/new").stderr()).contains("Read-only file system");
  }

  @Test
  void whatTheHostMountsLaterIsSeenWhereItIsAskedFor() throws IOException {
    Path volume = tmpfs();
    Command.of("mount", "--make-rshared", volume.toString()).run().orFail();
    Files.createDirectory(volume.resolve("later"));
    Pod pod = pod();
    PodContainer follows =
        pod.start(
            with(
                at("/volume", volume).toBuilder()
                    .setPropagation(MountPropagation.PROPAGATION_HOST_TO_CONTAINER)
                    .build()));
    PodContainer apart = pod.start(with(at("/volume", volume)));
    Path later = volume.resolve("later");
    Command.of("mount", "-t", "tmpfs", "brig-it", later.toString()).run().orFail();
    Files.writeString(later.resolve("seen"), "yes");
    assertThat(follows.sh("cat /volume/later/seen")).isEqualTo("yes");
    assertThat(apart.exec("cat", "/volume/later/seen").status()).isNotZero();
    Command.of("umount", later.toString()).run().orFail();
    assertThat(follows.exec("cat", "/volume/later/seen").status()).isNotZero();
  }

  @Test
  void bidirectionalPropagationLeadsInAndNeverOut() throws IOException {
    Path volume = tmpfs();
    Command.of("mount", "--make-rshared", volume.toString()).run().orFail();
    Files.createDirectory(volume.resolve("later"));
    Mount both =
        at("/volume", volume).toBuilder()
            .setPropagation(MountPropagation.PROPAGATION_BIDIRECTIONAL)
            .build();
    PodContainer container = pod().start(with(both));
    Path later = volume.resolve("later");
    Command.of("mount", "-t", "tmpfs", "brig-it", later.toString()).run().orFail();
    Files.writeString(later.resolve("seen"), "yes");
    assertThat(container.sh("cat /volume/later/seen")).isEqualTo("yes");
    // Shared among the mount namespaces inside, and of the host's group only a receiver.
    assertThat(container.sh("grep ' /volume ' /proc/self/mountinfo"))
        .containsPattern("shared:\\d+")
        .containsPattern("master:\\d+");
  }

  @Test
  void sharedMemoryIsThePods() {
    Pod pod = pod();
    PodContainer first = pod.sleeping();
    PodContainer second = pod.start(withFor(1000));
    first.sh("echo shared > /dev/shm/file");
    assertThat(second.sh("cat /dev/shm/file")).isEqualTo("shared");
    second.sh("echo users > /dev/shm/users");
    assertThat(first.sh("stat -c %u /dev/shm/users")).isEqualTo("1000");
    assertThat(first.sh("stat -f -c %T /dev/shm; stat -c %a /dev/shm")).isEqualTo("tmpfs\n1777");
    assertThat(pod().sleeping().exec("ls", "/dev/shm/file").status()).isNotZero();
  }
}
