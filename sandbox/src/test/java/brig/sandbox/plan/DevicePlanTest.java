package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.plan.CreatePlan;
import brig.proto.plan.Device;
import brig.proto.plan.Symlink;
import brig.sandbox.BrigException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class DevicePlanTest {
  private static final String DEV =
      "{\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\"}";

  private static PlannedContainer planned(String devices, String mounts) throws BrigException {
    return Fixture.plan(
        Fixture.input(
            Fixture.spec(", \"devices\": [" + devices + "]", ", \"mounts\": [" + mounts + "]")));
  }

  @Test
  void theSpecsNodesJoinTheStandardOnesAndReplaceThem() throws BrigException {
    CreatePlan plan =
        planned(
                """
                {"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229, "fileMode": 432,
                 "uid": 7, "gid": 8},
                {"path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 8624},
                {"path": "/dev/sda", "type": "b", "major": 8, "minor": 0},
                {"path": "/dev/pipe", "type": "p"}\
                """,
                DEV)
            .plan()
            .getCreate();
    assertThat(plan.getDevicesList())
        .hasSize(9)
        .contains(
            Device.newBuilder()
                .setPath("/dev/fuse")
                .setType(Device.Type.CHAR)
                .setMajor(10)
                .setMinor(229)
                .setMode(0660)
                .setUid(7)
                .setGid(8)
                .build(),
            Device.newBuilder()
                .setPath("/dev/null")
                .setType(Device.Type.CHAR)
                .setMajor(1)
                .setMinor(3)
                .setMode(0660)
                .build());
    assertThat(plan.getDevicesList())
        .extracting(Device::getType)
        .contains(Device.Type.BLOCK, Device.Type.FIFO);
  }

  @Test
  void theUsualLinksAreThere() throws BrigException {
    assertThat(planned("", DEV).plan().getCreate().getSymlinksList())
        .extracting(Symlink::getPath)
        .containsExactlyInAnyOrder(
            "/dev/fd", "/dev/stdin", "/dev/stdout", "/dev/stderr", "/dev/core", "/dev/ptmx");
  }

  @Test
  void aBoundDevIsLeftAlone() throws BrigException {
    PlannedContainer planned =
        planned(
            "{\"path\": \"/dev/x\", \"type\": \"c\", \"major\": 1, \"minor\": 3}",
            "{\"destination\": \"/dev\", \"type\": \"bind\", \"source\": \"/dev\","
                + " \"options\": [\"rbind\"]}");
    assertThat(planned.plan().getCreate().getDevicesList()).isEmpty();
    assertThat(planned.plan().getCreate().getSymlinksList()).isEmpty();
    assertThat(planned.notes()).anyMatch(note -> note.startsWith("devices:"));
  }

  @Test
  void withoutADevOfTheSpecBrigMountsOneFirst() throws BrigException {
    CreatePlan plan =
        planned("", "{\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\"}")
            .plan()
            .getCreate();
    assertThat(plan.getMounts(0).getDestination()).isEqualTo("/dev");
    assertThat(plan.getMounts(0).getSpecIndex()).isEqualTo(-1);
    assertThat(plan.getMounts(1).getDestination()).isEqualTo("/dev/shm");
  }

  @Test
  void nodesOutsideDevAndForeignOwnersAreRefused() {
    assertThatThrownBy(() ->
            planned("{\"path\": \"/dev/../x\", \"type\": \"c\", \"major\": 1, \"minor\": 3}", DEV))
        .hasMessageContaining("linux.devices[0].path: /x lies outside /dev");
    assertThatThrownBy(
            () -> planned("{\"path\": \"/dev/x\", \"type\": \"p\", \"uid\": 100000}", DEV))
        .hasMessageContaining("linux.devices[0].uid: user id 100000 is not mapped");
  }

  @Test
  void noPlanIsBelowTheFloorThatIsShipped() throws BrigException, IOException {
    CreatePlan plan = planned("", DEV).plan().getCreate();
    List<String> rules;
    try (var lines = Files.lines(Path.of("..", "deploy", "floor", "brig.floor"))) {
      rules = lines.filter(line -> !line.isBlank() && !line.startsWith("#")).toList();
    }
    assertThat(rules).isNotEmpty();
    for (String rule : rules) {
      String path = rule.substring(rule.indexOf(' ') + 1);
      if (rule.startsWith("mask ")) {
        assertThat(plan.getMaskedPathsList()).as(rule).contains(path);
      } else if (rule.startsWith("read-only ")) {
        assertThat(plan.getReadonlyPathsList()).as(rule).contains(path);
      } else if (rule.startsWith("host-ids-from ")) {
        assertThat(Integer.toUnsignedLong(plan.getUidMaps(0).getHostId()))
            .isGreaterThanOrEqualTo(Long.parseLong(path));
      }
    }
    assertThat(plan.getProcess().getNoNewPrivileges()).isTrue();
    assertThat(plan.getProcess().getSeccompCount()).isPositive();
  }
}
