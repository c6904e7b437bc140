package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.SourceReport;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.IdMapping;
import brig.proto.plan.Mount;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.Unmappable;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

final class MountPlanTest {
  private static PlannedContainer planned(String mounts) throws BrigException {
    return Fixture.plan(Fixture.input(Fixture.spec("", ", \"mounts\": [" + mounts + "]")));
  }

  /** The one mount of the spec. */
  private static Mount mount(String mount) throws BrigException {
    return last(planned(mount).plan().getCreate());
  }

  private static Mount last(CreatePlan plan) {
    return plan.getMounts(plan.getMountsCount() - 1);
  }

  private static String bind(String options) {
    return "{\"destination\": \"/v\", \"type\": \"bind\", \"source\": \"/data\", \"options\": ["
        + options
        + "]}";
  }

  private static PlannedContainer reported(
      String mount, Unmappable policy, Consumer<SourceReport.Builder> change) throws BrigException {
    return Fixture.plan(
        Fixture.hostV1(),
        SandboxConfig.DEFAULT.with(
            Map.of("brig", SandboxConfig.ClassConfig.DEFAULT.withUnmappable(policy))),
        Fixture.input(Fixture.spec("", ", \"mounts\": [" + mount + "]")),
        (source, report) -> {
          if (source.getPath().equals("/data")) {
            change.accept(report);
          }
        });
  }

  @Test
  void aBindIsIdmappedSoThatItsFilesKeepTheirIds() throws BrigException {
    Mount mount = mount(bind("\"rbind\", \"rprivate\", \"rw\""));
    assertThat(mount.getBind().getRecursive()).isTrue();
    assertThat(mount.getIdmap().getMode()).isEqualTo(IdMapping.Mode.CONTAINER);
    assertThat(mount.getPropagation()).isEqualTo(0x44000);
    assertThat(mount.getAttrSet()).isZero();
    assertThat(mount.getAttrClear()).as("rw never lifts what the host locked").isZero();
  }

  @Test
  void flagsBecomeAttributes() throws BrigException {
    Mount mount =
        mount(
            bind(
                "\"bind\", \"ro\", \"nosuid\", \"nodev\", \"noexec\", \"noatime\","
                    + " \"nodiratime\", \"nosymfollow\""));
    assertThat(mount.getBind().getRecursive()).isFalse();
    assertThat(mount.getAttrSet()).isEqualTo(0x1 | 0x2 | 0x4 | 0x8 | 0x10 | 0x80 | 0x200000);
    assertThat(mount.getAttrClear()).isEqualTo(0x70);
    assertThat(mount(bind("\"ro\", \"rw\"")).getAttrSet()).as("the last one counts").isZero();
    assertThat(mount(bind("\"noatime\", \"strictatime\"")).getAttrSet()).isEqualTo(0x20);
  }

  @Test
  void recursiveFlagsReachAllBeneath() throws BrigException {
    Mount mount = mount(bind("\"rbind\", \"rro\", \"rnosuid\", \"rdev\", \"rnoatime\""));
    assertThat(mount.getAttrSetRecursive()).isEqualTo(0x1 | 0x2 | 0x10);
    assertThat(mount.getAttrClearRecursive()).isEqualTo(0x4 | 0x70);
  }

  @Test
  void relativeSourcesCountFromTheBundle() throws BrigException {
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    CreateInput in =
        Fixture.input(
            Fixture.spec("", ", \"mounts\": [" + bind("").replace("/data", "conf") + "]"));
    assertThat(planner.sources(in).sources())
        .anyMatch(source -> source.getPath().equals("/run/b/c1/conf"));
  }

  @Test
  void mapsOfTheMountItselfAreUsed() throws BrigException {
    Mount mount =
        mount(
            """
            {"destination": "/v", "type": "bind", "source": "/data", "options": ["rbind", "ridmap"],
             "uidMappings": [{"containerID": 0, "hostID": 1000, "size": 10}],
             "gidMappings": [{"containerID": 0, "hostID": 2000, "size": 10}]}
            """);
    assertThat(mount.getIdmap().getMode()).isEqualTo(IdMapping.Mode.OWN);
    assertThat(mount.getIdmap().getRecursive()).isTrue();
    assertThat(mount.getIdmap().getUidMaps(0).getHostId()).isEqualTo(1000);
    assertThat(mount(bind("\"idmap\"")).getIdmap().getMode()).isEqualTo(IdMapping.Mode.CONTAINER);
  }

  @Test
  void aVolumeThatCannotBeIdmappedFollowsThePolicy() throws BrigException {
    Consumer<SourceReport.Builder> nfs =
        report -> report.setCanIdmap(false).setFsType("nfs4").setMode(0100644);
    assertThatThrownBy(() -> reported(bind(""), Unmappable.REFUSE, nfs))
        .hasMessageContaining("mounts[0]: /data (nfs4) can't be idmapped");
    PlannedContainer unshifted = reported(bind(""), Unmappable.UNSHIFTED, nfs);
    assertThat(last(unshifted.plan().getCreate()).hasIdmap()).isFalse();
    assertThat(unshifted.notes()).anyMatch(note -> note.contains("show as nobody"));
    PlannedContainer copied = reported(bind(""), Unmappable.COPY, nfs);
    assertThat(last(copied.plan().getCreate()).getCopy().getMaxBytes()).isEqualTo(1 << 20);
    assertThat(copied.notes()).anyMatch(note -> note.contains("copy as of its start"));
  }

  @Test
  void devicesSharedDirectoriesAndTheKernelsFilesNeedNoIdmapping() throws BrigException {
    assertThat(
            reported(
                    bind(""),
                    Unmappable.REFUSE,
                    report -> report.setCanIdmap(false).setMode(0020666))
                .notes())
        .anyMatch(note -> note.contains("don't depend on them"));
    assertThat(
            reported(
                    bind(""),
                    Unmappable.REFUSE,
                    report -> report.setCanIdmap(false).setMode(0041777))
                .notes())
        .anyMatch(note -> note.contains("don't depend on them"));
    assertThat(
            reported(
                    bind(""),
                    Unmappable.REFUSE,
                    report -> report.setCanIdmap(false).setFsMagic(0x9fa0))
                .notes())
        .anyMatch(note -> note.contains("don't depend on them"));
  }

  @Test
  void idsInOptionsOfTmpfsAreTheHostsOnes() throws BrigException {
    Mount mount =
        mount(
            """
            {"destination": "/t", "type": "tmpfs", "source": "tmpfs",
             "options": ["mode=1770", "uid=1000", "gid=100", "size=1m", "tmpcopyup", "noexec"]}
            """);
    assertThat(mount.getFresh().getOptionsList())
        .containsExactly(
            "mode=1770", "uid=" + (0x30000000 + 1000), "gid=" + (0x30000000 + 100), "size=1m");
    assertThat(mount.getTmpcopyup()).isTrue();
    assertThat(mount.getAttrSet()).isEqualTo(0x8);
  }

  @Test
  void cgroupMountsBecomeTheContainersView() throws BrigException {
    Mount mount =
        mount(
            """
            {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
             "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
            """);
    assertThat(mount.getCgroupView().getReadOnly()).isTrue();
  }

  @Test
  void anOverlayVolumeIsMadeOfItsLayers() throws BrigException {
    Mount mount =
        mount(
            """
            {"destination": "/o", "type": "overlay", "source": "overlay",
             "options": ["lowerdir=/a:/b", "upperdir=/u/fs", "workdir=/u/work", "volatile"]}
            """);
    assertThat(mount.getOverlay().getLowerCount()).isEqualTo(2);
    assertThat(mount.getOverlay().getOptionsList()).containsExactly("volatile");
  }

  @Test
  void theKernelsFileSystemsAreNeverMountedThroughALink() throws BrigException {
    Mount proc = mount("{\"destination\": \"/proc/\", \"type\": \"proc\", \"source\": \"proc\"}");
    assertThat(proc.getDestination()).isEqualTo("/proc");
    assertThat(proc.getDestinationNofollow()).isTrue();
  }

  @Test
  void nothingButProcfsAndDescriptionsOfTheMachineStandsInProc() throws BrigException {
    for (String place : List.of("/proc", "/proc/self/attr", "/proc/./sys", "/x/../proc/1")) {
      assertThatThrownBy(() -> mount(bind("").replace("\"/v\"", '"' + place + '"')))
          .hasMessageContaining("mounts[0].destination: /proc")
          .hasMessageContaining("/data may not stand there");
      assertThatThrownBy(() ->
              mount(
                  "{\"destination\": \""
                      + place
                      + "\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"}"))
          .hasMessageContaining("a tmpfs may not stand there");
    }
    assertThat(mount(bind("").replace("\"/v\"", "\"/proc/meminfo\"")).getDestination())
        .isEqualTo("/proc/meminfo");
    assertThat(mount(bind("").replace("\"/v\"", "\"/process\"")).getDestination())
        .isEqualTo("/process");
  }

  @Test
  void aHostsProcMayBeBoundInPlaceOfTheContainers() throws BrigException {
    var planned =
        reported(
            bind("").replace("\"/v\"", "\"/proc\""),
            Unmappable.REFUSE,
            report -> report.setFsMagic(0x9fa0));
    assertThat(last(planned.plan().getCreate()).getDestination()).isEqualTo("/proc");
  }

  @Test
  void destinationsStayInsideAndBelowTheRoot() throws BrigException {
    assertThat(mount(bind("").replace("\"/v\"", "\"../../v/./x\"")).getDestination())
        .isEqualTo("/v/x");
    assertThatThrownBy(() -> mount(bind("").replace("\"/v\"", "\"/..\"")))
        .hasMessageContaining("mounts[0].destination: is the root itself");
  }

  @Test
  void contradictionsAreRefusedByField() {
    assertThatThrownBy(() -> mount(bind("\"size=1\"")))
        .hasMessageContaining("mounts[0].options: \"size=1\" is no option of a bind");
    assertThatThrownBy(() -> mount(bind("\"remount\""))).hasMessageContaining("remount");
    assertThatThrownBy(() -> mount(bind("\"tmpcopyup\""))).hasMessageContaining("tmpcopyup");
    assertThatThrownBy(() -> mount(bind("").replace("/data", "")))
        .hasMessageContaining("mounts[0].source: is missing");
    assertThatThrownBy(() -> mount("{\"destination\": \"/x\"}"))
        .hasMessageContaining("mounts[0].type: is missing");
  }

  @Test
  void aMissingSourceIsNamed() {
    assertThatThrownBy(() -> reported(bind(""), Unmappable.REFUSE, report -> report.setErrno(2)))
        .hasMessage("open source: mounts[0].source /data: no such file or directory");
  }

  @Test
  void sharedPropagationIsToldToEndAtTheUserNamespace() throws BrigException {
    assertThat(planned(bind("\"rbind\", \"rshared\"")).notes())
        .anyMatch(note -> note.contains("can't propagate out"));
  }
}
