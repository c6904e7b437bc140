package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.SourceReport;
import brig.proto.plan.Root;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.Unmappable;
import brig.sandbox.spec.Spec;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.junit.jupiter.api.Test;

final class RootPlanTest {
  private static Spec spec() throws BrigException {
    return Fixture.spec("", "");
  }

  private static Root root(RootfsMount... mounts) throws BrigException {
    return Fixture.plan(Fixture.input(spec(), mounts)).plan().getCreate().getRoot();
  }

  private static SandboxConfig policy(Unmappable unmappable) {
    return SandboxConfig.DEFAULT.with(
        Map.of("brig", SandboxConfig.ClassConfig.DEFAULT.withUnmappable(unmappable)));
  }

  @Test
  void escapedColonsInLayersAreParts() throws BrigException {
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    SourcePlan sources =
        planner.sources(
            Fixture.input(
                spec(),
                new RootfsMount("overlay", "overlay", "", List.of("lowerdir=/a\\:b:/c\\\\d:/e"))));
    assertThat(sources.sources())
        .extracting(source -> source.getPath())
        .containsExactly("/a:b", "/c\\d", "/e");
  }

  @Test
  void aSingleLayerIsABindAndReadOnlyIfItSaysSo() throws BrigException {
    Root root = root(new RootfsMount("bind", "/s/1/fs", "", List.of("rbind", "ro")));
    assertThat(root.getBind().getRecursive()).isTrue();
    assertThat(root.getReadonly()).isTrue();
    assertThat(root.getIdmap()).isTrue();
  }

  @Test
  void aBlockDeviceIsMountedAnew() throws BrigException {
    Root root = root(new RootfsMount("ext4", "/dev/dm-3", "", List.of("sync", "data=ordered")));
    assertThat(root.getFresh().getFsType()).isEqualTo("ext4");
    assertThat(root.getFresh().getHandle()).isEqualTo(1);
    assertThat(root.getFresh().getOptionsList()).containsExactly("sync", "data=ordered");
  }

  @Test
  void upperAndWorkMustShareADirectory() {
    assertThatThrownBy(() ->
            root(
                new RootfsMount(
                    "overlay",
                    "overlay",
                    "",
                    List.of("lowerdir=/l", "upperdir=/a/u", "workdir=/b/w"))))
        .hasMessageContaining("lie in different directories");
  }

  @Test
  void furtherMountsGoBeneathTheRoot() throws BrigException {
    CreateInput in =
        Fixture.input(
            spec(),
            new RootfsMount("bind", "/s/1/fs", "", List.of("rbind")),
            new RootfsMount("bind", "/s/extra", "opt/extra", List.of("rbind", "ro")));
    var plan = Fixture.plan(in).plan().getCreate();
    assertThat(plan.getMountsList())
        .anySatisfy(mount -> {
          assertThat(mount.getDestination()).isEqualTo("/opt/extra");
          assertThat(mount.getSpecIndex()).isEqualTo(-1);
        });
  }

  @Test
  void withoutMountsThePathIsTheRoot() throws BrigException {
    CreateInput in =
        Fixture.input(
            Fixture.spec(
                """
                {"ociVersion": "1.2.0", "root": {"path": "/images/a", "readonly": true},
                 "process": {"args": ["sh"], "cwd": "/"},
                 "linux": {"namespaces": [{"type": "mount"}]}}
                """),
            new RootfsMount[0]);
    Root root = Fixture.plan(in).plan().getCreate().getRoot();
    assertThat(root.getBind().getHandle()).isEqualTo(1);
    assertThat(root.getReadonly()).isTrue();
  }

  private static CreateInput mountedByDocker() throws BrigException {
    return Fixture.input(
        Fixture.spec(
            """
            {"ociVersion": "1.2.0", "root": {"path": "/var/lib/docker/overlay2/x/merged"},
             "process": {"args": ["sh"], "cwd": "/"},
             "linux": {"namespaces": [{"type": "mount"}]}}
            """),
        new RootfsMount[0]);
  }

  private static SourceReport overlay(SourceReport report, String options) {
    return report.toBuilder()
        .setFsType("overlay")
        .setCanIdmap(false)
        .setMountPoint(report.getCanonicalPath())
        .setMountRoot("/")
        .setSuperOptions(options)
        .build();
  }

  @Test
  void aMountedOverlayIsMountedAgainOverItsLayers() throws BrigException {
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    CreateInput in = mountedByDocker();
    SourcePlan first = planner.sources(in);
    List<SourceReport> reports =
        Fixture.reports(first).stream()
            .map(report ->
                overlay(
                    report,
                    "rw,lowerdir=/l/A\\134:1:l/B,upperdir=/o/x/diff,workdir=/o/x/work,"
                        + "index=off,metacopy=on,xino=off"))
            .toList();
    Optional<SourcePlan> second = planner.moreSources(in, first, reports);
    assertThat(second.orElseThrow().sources())
        .extracting(source -> source.getPath())
        .containsExactly("/l/A:1", "/var/lib/docker/overlay2/l/B", "/o/x");
    List<SourceReport> layers = Fixture.reports(second.get());
    assertThat(planner.moreSources(in, second.get(), layers)).isEmpty();
    PlannedContainer planned = planner.plan(in, second.get(), layers);
    Root root = planned.plan().getCreate().getRoot();
    assertThat(root.getIdmap()).isTrue();
    assertThat(root.getOverlay().getLowerList()).containsExactly(1, 2);
    assertThat(root.getOverlay().getUpperName()).isEqualTo("diff");
    assertThat(root.getOverlay().getWorkIsShared()).isTrue();
    assertThat(root.getOverlay().getOptionsList()).containsExactly("metacopy=on", "index=off");
    assertThat(planned.notes()).anyMatch(note -> note.contains("is a mounted overlay"));
  }

  @Test
  void aMountedOverlayWithAnIndexIsRefused() throws BrigException {
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    CreateInput in = mountedByDocker();
    SourcePlan first = planner.sources(in);
    List<SourceReport> reports =
        Fixture.reports(first).stream()
            .map(report -> overlay(report, "rw,lowerdir=/l,index=on"))
            .toList();
    assertThatThrownBy(() -> planner.moreSources(in, first, reports))
        .hasMessageContaining("index=on");
  }

  @Test
  void aRootThatCannotBeIdmappedIsRefusedWithItsRemedyOrLeftAsThePolicySays() throws BrigException {
    CreateInput in =
        Fixture.input(spec(), new RootfsMount("bind", "/nfs/fs", "", List.of("rbind")));
    assertThatThrownBy(() ->
            Fixture.plan(
                Fixture.hostV1(),
                policy(Unmappable.REFUSE),
                in,
                (source, report) -> report.setCanIdmap(false).setFsType("nfs4")))
        .hasMessageContaining("/nfs/fs (nfs4) can't be idmapped")
        .hasMessageContaining("unmappable");
    PlannedContainer planned =
        Fixture.plan(
            Fixture.hostV1(),
            policy(Unmappable.UNSHIFTED),
            in,
            (source, report) -> report.setCanIdmap(false));
    assertThat(planned.plan().getCreate().getRoot().getIdmap()).isFalse();
    assertThat(planned.notes()).anyMatch(note -> note.contains("/nfs/fs can't be idmapped"));
  }

  @Test
  void aMissingLayerIsNamed() {
    assertThatThrownBy(() ->
            Fixture.plan(
                Fixture.hostV1(),
                SandboxConfig.DEFAULT,
                Fixture.input(spec()),
                (source, report) -> report.setErrno(2)))
        .hasMessage("open source: rootfs /s/1/fs: no such file or directory");
  }

  @Test
  void whatIsNotSupportedIsRefusedByName() {
    assertThatThrownBy(() -> root(new RootfsMount("fuse.x", "x", "", List.of())))
        .hasMessageContaining("type fuse.x");
    assertThatThrownBy(() -> root(new RootfsMount("ext4", "f", "", List.of("loop"))))
        .hasMessageContaining("absolute path of an image");
    assertThatThrownBy(() -> root(new RootfsMount("overlay", "", "", List.of("index=off"))))
        .hasMessageContaining("needs lower layers");
    assertThatThrownBy(() ->
            root(
                new RootfsMount("bind", "/a", "usr", List.of()),
                new RootfsMount("bind", "/b", "opt", List.of())))
        .hasMessageContaining("none of the mounts is the root");
  }

  @Test
  void theLastMountOnTheRootIsTheRootAndThoseAfterItGoBeneath() throws BrigException {
    PlannedContainer planned =
        Fixture.plan(
            Fixture.input(
                spec(),
                new RootfsMount("ext4", "/dev/dm-1", "", List.of()),
                new RootfsMount("bind", "/hidden", "usr", List.of("bind")),
                new RootfsMount("bind", "/b", "/", List.of("bind")),
                new RootfsMount("bind", "/c", "opt", List.of("bind"))));
    assertThat(planned.plan().getCreate().getRoot().hasBind()).isTrue();
    assertThat(planned.plan().getCreate().getMountsList())
        .extracting(mount -> mount.getDestination())
        .contains("/opt")
        .doesNotContain("/usr");
    assertThat(planned.notes())
        .contains("root: rootfs[2] covers the mounts before it, which are not made");
  }

  @Test
  void anImageIsMountedThroughALoopDevice() throws BrigException {
    Root root = root(new RootfsMount("erofs", "/i", "", List.of("loop", "ro", "direct-io", "x=y")));
    assertThat(root.getReadonly()).isTrue();
    assertThat(root.getFresh().getLoop().getReadOnly()).isTrue();
    assertThat(root.getFresh().getLoop().getDirectIo()).isTrue();
    assertThat(root.getFresh().getOptionsList()).containsExactly("ro", "x=y");
  }

  @Test
  void aRootThatCantBeIdmappedIsRefusedWithoutTheOfferOfACopy() {
    for (Unmappable policy : List.of(Unmappable.REFUSE, Unmappable.COPY)) {
      assertThatThrownBy(() ->
              Fixture.plan(
                  Fixture.hostV1(),
                  policy(policy),
                  Fixture.input(spec(), new RootfsMount("bind", "/f", "", List.of("bind"))),
                  (source, report) -> report.setCanIdmap(false)))
          .hasMessageContaining("\"unshifted\"")
          .hasMessageContaining("not for roots");
    }
  }
}
