package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Mounts;
import brig.testing.proto.types.Mount;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Root file systems in each form in which clients give them. */
@OneContainerd
class RootfsTest extends ClientTest {

  private final Path directory;

  RootfsTest(Containerd containerd) {
    super(containerd);
    directory = place("root");
  }

  /** Taken off at the end of the test. */
  private void mounted(Path point) {
    keep(() -> Command.of("umount", "-l", point.toString()).run());
  }

  /** The image's files as a plain directory. */
  private Path copyOfImage() {
    return copyOfImage(directory.resolve(Names.fresh("copy")));
  }

  private Path copyOfImage(Path target) {
    Path view = directory.resolve(Names.fresh("view"));
    String key = Names.fresh("view");
    List<Mount> mounts =
        client
            .snapshots()
            .view(
                brig.testing.proto.snapshots.ViewSnapshotRequest.newBuilder()
                    .setSnapshotter("overlayfs")
                    .setKey(key)
                    .setParent(client.chainOf(brig.testing.Images.BUSYBOX))
                    .putLabels("containerd.io/gc.root", "test")
                    .build())
            .getMountsList();
    Mount mount = mounts.getFirst();
    try {
      Files.createDirectories(view);
      Files.createDirectories(target);
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    Command.of(
            "mount",
            "-t",
            mount.getType(),
            "-o",
            String.join(",", mount.getOptionsList()),
            "overlay",
            view.toString())
        .run()
        .orFail();
    Command.of("cp", "-a", view + "/.", target.toString()).run().orFail();
    Command.of("umount", view.toString()).run().orFail();
    client
        .snapshots()
        .remove(
            brig.testing.proto.snapshots.RemoveSnapshotRequest.newBuilder()
                .setSnapshotter("overlayfs")
                .setKey(key)
                .build());
    return target;
  }

  private TestContainer on(Path root, String... command) {
    return keep(client.containerOnItsOwnRoot(OciSpec.running(command).rootPath(root.toString())));
  }

  private Ran runOn(Path root, String... command) {
    Stdio stdio = Stdio.captured();
    int status = on(root, command).run(stdio).status();
    return new Ran(status, stdio.stdout(), stdio.stderr());
  }

  private static String owner(Path file) throws IOException {
    return Files.getAttribute(file, "unix:uid") + ":" + Files.getAttribute(file, "unix:gid");
  }

  @Test
  void aPlainDirectoryKeepsItsOwners() throws IOException {
    Path root = copyOfImage();
    Ran ran =
        runOn(
            root,
            "sh",
            "-c",
            "stat -c %u:%g /data/user/file /data/nobody/file /etc; touch /made; chown 1000:50 /made");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000:1000\n65534:65534\n0:0\n");
    assertThat(owner(root.resolve("made"))).isEqualTo("1000:50");
  }

  @Test
  void ctrsOwnRootfsFlagWorks() {
    Path root = copyOfImage();
    String id = Names.fresh("rootfs");
    Command.Result result =
        containerd
            .ctr()
            .run(id)
            .flags("--rootfs")
            .image(root.toString())
            .foreground("/bin/cat", "/etc/overlaid")
            .run();
    assertThat(result.stderr()).isEmpty();
    assertThat(result.stdout()).isEqualTo("upper\n");
    assertThat(result.exitCode()).isZero();
    assertThat(Mounts.here()).noneMatch(mount -> mount.point().startsWith(root.toString()));
  }

  @Test
  void aMountedOverlayAsDockerGivesItWorks() throws IOException {
    Path lower = copyOfImage();
    Path upper = Files.createDirectory(directory.resolve("upper"));
    Path work = Files.createDirectory(directory.resolve("work"));
    Path merged = Files.createDirectory(directory.resolve("merged"));
    Command.of(
            "mount",
            "-t",
            "overlay",
            "-o",
            "lowerdir=" + lower + ",upperdir=" + upper + ",workdir=" + work,
            "overlay",
            merged.toString())
        .run()
        .orFail();
    mounted(merged);
    Ran ran =
        runOn(
            merged,
            "sh",
            "-c",
            "stat -c %u:%g /data/user/file; echo new > /written; chown 1000:1000 /written; cat /etc/overlaid; rm /etc/motd");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000:1000\nupper\n");
    assertThat(upper.resolve("written")).hasContent("new\n");
    assertThat(owner(upper.resolve("written"))).isEqualTo("1000:1000");
    // The caller's own mount shows it once the container is gone.
    assertThat(merged.resolve("written")).hasContent("new\n");
    assertThat(owner(merged.resolve("written"))).isEqualTo("1000:1000");
  }

  /** A file with an empty file system. */
  private Path disk(String type) throws IOException {
    Path image = directory.resolve(Names.fresh(type));
    try (var file = new java.io.RandomAccessFile(image.toFile(), "rw")) {
      // The least that mkfs.xfs takes.
      file.setLength(300 << 20);
    }
    String force = type.equals("ext4") ? "-F" : "-f";
    Command.of("mkfs." + type, "-q", force, image.toString()).run().orFail();
    return image;
  }

  /** A file with a file system that holds the image's files. */
  private Path diskWithImage(String type) throws IOException {
    Path image = directory.resolve(Names.fresh(type));
    if (type.equals("erofs")) {
      Command.of("mkfs.erofs", image.toString(), copyOfImage().toString()).run().orFail();
      return image;
    }
    Path filled = disk(type);
    Path at = Files.createDirectory(directory.resolve(Names.fresh("fill")));
    Command.of("mount", "-o", "loop", filled.toString(), at.toString()).run().orFail();
    mounted(at);
    copyOfImage(at);
    Command.of("umount", at.toString()).run().orFail();
    return filled;
  }

  private static Mount mount(String type, Path source, String... options) {
    return Mount.newBuilder()
        .setType(type)
        .setSource(source.toString())
        .addAllOptions(List.of(options))
        .build();
  }

  private Ran runOn(List<Mount> rootfs, String script) {
    Stdio stdio = Stdio.captured();
    TestContainer container = keep(client.containerOn(OciSpec.running("sh", "-c", script), rootfs));
    int status = container.run(stdio).status();
    container.delete();
    return new Ran(status, stdio.stdout(), stdio.stderr());
  }

  /** As block snapshotters give it: nobody has mounted anything yet. */
  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "btrfs"})
  void anImageIsMountedThroughALoopDeviceThatGoesWithIt(String type) throws IOException {
    Path image = diskWithImage(type);
    Ran ran =
        runOn(
            List.of(mount(type, image, "loop")),
            "stat -c %u:%g /data/user/file; touch /made; chown 1000:50 /made;"
                + " grep ' / ' /proc/self/mountinfo | head -n 1 | sed 's/.* - //; s/ .*//'");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000:1000\n" + type + "\n");
    Eventually.holds(
        "the loop device is free again",
        () -> Command.of("losetup", "-j", image.toString()).run().stdout().isEmpty());
    Path at = Files.createDirectory(directory.resolve(Names.fresh("after")));
    Command.of("mount", "-o", "loop", image.toString(), at.toString()).run().orFail();
    mounted(at);
    assertThat(owner(at.resolve("made"))).isEqualTo("1000:50");
  }

  @Test
  void anErofsImageIsAReadOnlyRoot() throws IOException {
    Path image = diskWithImage("erofs");
    Ran ran =
        runOn(
            List.of(mount("erofs", image, "ro", "loop")),
            "stat -c %u:%g /data/user/file; touch /made");
    assertThat(ran.stdout()).isEqualTo("1000:1000\n");
    assertThat(ran.stderr()).contains("Read-only file system");
  }

  @Test
  void theLastOfSeveralMountsOnTheRootIsTheRoot() throws IOException {
    Path first = copyOfImage();
    Path second = copyOfImage();
    Files.writeString(first.resolve("first"), "");
    Files.writeString(second.resolve("second"), "");
    Ran ran =
        runOn(
            List.of(mount("bind", first, "rbind", "rw"), mount("bind", second, "rbind", "rw")),
            "ls -d /first /second 2>/dev/null");
    assertThat(ran.stdout()).isEqualTo("/second\n");
  }

  @Test
  void aFuseMountThatNeedsAServerIsRefusedByName() throws IOException {
    assertThat(
            Refusals.words(() ->
                keep(client.containerOn(
                        OciSpec.running("true"),
                        List.of(mount("fuse3.fuse-overlayfs", copyOfImage()))))
                    .create(Stdio.captured())))
        .contains("fuse3.fuse-overlayfs", "give the mounted directory as a bind");
  }

  /** FUSE servers say themselves whether they can be idmapped; hardly any can. */
  @Test
  void aRootThatCantBeIdmappedIsRefusedWithItsNameAndTheWayOut() throws IOException {
    Path fuse = Files.createDirectory(directory.resolve("fuse"));
    Command.of("bindfs", copyOfImage().toString(), fuse.toString()).run().orFail();
    mounted(fuse);
    assertThat(Refusals.words(() -> on(fuse, "true").create(Stdio.captured())))
        .contains(
            "root.path", fuse + " (fuse)", "can't be idmapped", "\"unshifted\"", "not for roots");
  }

  @ParameterizedTest
  @ValueSource(strings = {"ext4", "xfs", "btrfs"})
  void aMountedDiskKeepsItsOwners(String type) throws IOException {
    Path image = disk(type);
    Path root = Files.createDirectory(directory.resolve("on-" + type));
    Command.Result mount =
        Command.of("mount", "-o", "loop", image.toString(), root.toString()).run();
    mount.orFail();
    mounted(root);
    copyOfImage(root);
    Ran ran =
        runOn(root, "sh", "-c", "stat -c %u:%g /data/user/file; touch /made; chown 1000:50 /made");
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000:1000\n");
    assertThat(owner(root.resolve("made"))).isEqualTo("1000:50");
  }

  @Test
  void aTmpfsWorks() throws IOException {
    Path root = Files.createDirectory(directory.resolve("tmpfs"));
    Command.of("mount", "-t", "tmpfs", "tmpfs", root.toString()).run().orFail();
    mounted(root);
    copyOfImage(root);
    Ran ran =
        runOn(root, "sh", "-c", "stat -c %u:%g /data/user/file; touch /made; chown 1000:50 /made");
    assertThat(ran.stdout()).isEqualTo("1000:1000\n");
    assertThat(owner(root.resolve("made"))).isEqualTo("1000:50");
  }

  @Test
  void aReadOnlyRootIsReadOnlyAndTheSourceIsNot() {
    Path root = copyOfImage();
    TestContainer container =
        keep(
            client.containerOnItsOwnRoot(
                OciSpec.running(
                        "sh", "-c", "touch /x; touch /tmp/x; grep ' / ' /proc/self/mountinfo")
                    .rootPath(root.toString())
                    .readonlyRoot()));
    Stdio stdio = Stdio.captured();
    container.run(stdio);
    assertThat(stdio.stderr()).contains("Read-only file system");
    assertThat(root.resolve("x")).doesNotExist();
    assertThat(Files.isWritable(root)).isTrue();
  }

  @Test
  void volumesHaveTheOwnersThatTheHostGaveThem() throws IOException {
    Path volume = Files.createDirectory(directory.resolve("volume"));
    Path file = Files.writeString(volume.resolve("file"), "x");
    Command.of("chown", "1000:1000", file.toString()).run().orFail();
    Ran ran =
        run(
            OciSpec.running(
                    "sh", "-c", "stat -c %u:%g /mnt/file; touch /mnt/new; chown 50:60 /mnt/new")
                .bind(volume.toString(), "/mnt", "rw"));
    assertThat(ran.stderr()).isEmpty();
    assertThat(ran.stdout()).isEqualTo("1000:1000\n");
    assertThat(owner(volume.resolve("new"))).isEqualTo("50:60");
  }

  @Test
  void aFileAsVolumeWorks() throws IOException {
    Path file = Files.writeString(directory.resolve("resolv.conf"), "nameserver 192.0.2.1\n");
    Ran ran =
        run(
            OciSpec.running("cat", "/etc/resolv.conf")
                .bind(file.toString(), "/etc/resolv.conf", "ro"));
    assertThat(ran.stdout()).isEqualTo("nameserver 192.0.2.1\n");
  }

  @Test
  void ownersAreRightInAFileSystemBelowAVolumeToo() throws IOException {
    Path volume = Files.createDirectory(directory.resolve("tree"));
    Path below = Files.createDirectory(volume.resolve("below"));
    Command.of("mount", "-t", "tmpfs", "tmpfs", below.toString()).run().orFail();
    mounted(below);
    Path file = Files.writeString(below.resolve("file"), "");
    Command.of("chown", "1000:50", file.toString()).run().orFail();
    for (String option : List.of("rw", "ridmap")) {
      Ran ran =
          run(
              OciSpec.running("stat", "-c", "%u:%g", "/mnt/below/file")
                  .bind(volume.toString(), "/mnt", option));
      assertThat(ran.stdout() + ran.stderr()).isEqualTo("1000:50\n");
    }
  }

  @Test
  void aTmpfsVolumeWithAnotherFileSystemBelowIsTakenWhole() throws IOException {
    Path volume = Files.createDirectory(directory.resolve("deep"));
    Command.of("mount", "-t", "tmpfs", "tmpfs", volume.toString()).run().orFail();
    mounted(volume);
    Path below = Files.createDirectory(volume.resolve("below"));
    Command.of("mount", "-t", "tmpfs", "tmpfs", below.toString()).run().orFail();
    mounted(below);
    Files.writeString(below.resolve("file"), "deep\n");
    Ran ran = run(OciSpec.running("cat", "/mnt/below/file").bind(volume.toString(), "/mnt", "ro"));
    assertThat(ran.stdout()).isEqualTo("deep\n");
  }

  @Test
  void aReadOnlyVolumeIsReadOnly() throws IOException {
    Path volume = Files.createDirectory(directory.resolve("ro"));
    Ran ran = run(OciSpec.running("touch", "/mnt/x").bind(volume.toString(), "/mnt", "ro"));
    assertThat(ran.stderr()).contains("Read-only");
    assertThat(volume).isEmptyDirectory();
  }

  @Test
  void aSharedVolumePassesMountsOfTheHostOn() throws IOException {
    Path volume = Files.createDirectory(directory.resolve("slave"));
    Command.of("mount", "--bind", volume.toString(), volume.toString()).run().orFail();
    mounted(volume);
    Command.of("mount", "--make-shared", volume.toString()).run().orFail();
    TestContainer container =
        container(OciSpec.running("sleep", "600").bind(volume.toString(), "/mnt", "rw", "rslave"));
    container.start();
    Path later = Files.createDirectory(volume.resolve("later"));
    Command.of("mount", "-t", "tmpfs", "tmpfs", later.toString()).run().orFail();
    mounted(later);
    Files.writeString(later.resolve("file"), "came later\n");
    Ran ran = exec(container, "cat", "/mnt/later/file");
    assertThat(ran.stdout() + ran.stderr()).isEqualTo("came later\n");
  }
}
