package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.IdMap;
import brig.proto.plan.Namespace;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import java.util.List;
import java.util.Set;
import java.util.function.BiConsumer;
import org.junit.jupiter.api.Test;

final class UserNamespacePlanTest {
  private static final String MAPPED =
      """
      , "uidMappings": [{"containerID": 0, "hostID": 200000, "size": 1000}],
        "gidMappings": [{"containerID": 0, "hostID": 300000, "size": 1000}]\
      """;

  private static String with(String user, String rest) {
    return """
    {"ociVersion": "1.2.0", "root": {"path": "rootfs"},
     "process": {"args": ["sh"], "cwd": "/"},
     "linux": {"namespaces": [{"type": "mount"}, %s]%s}}
    """
        .formatted(user, rest);
  }

  private static final BiConsumer<Source, SourceReport.Builder> POD =
      (source, report) -> {
        if (source.getPath().endsWith("/ns/user")) {
          report
              .setUidMap("         0     200000       1000\n")
              .setGidMap("         0     300000       1000\n");
        }
      };

  private static SandboxConfig config(SandboxConfig.Ids ids) {
    return SandboxConfig.DEFAULT.with(ids);
  }

  private static Namespace user(CreatePlan plan) {
    return plan.getNamespacesList().stream()
        .filter(namespace -> namespace.getKind() == Namespace.Kind.USER)
        .findFirst()
        .orElseThrow();
  }

  @Test
  void aSpecWithoutOneGetsOneWithThePodsRange() throws BrigException {
    PlannedContainer planned = Fixture.plan(Fixture.input(Fixture.spec("", "")));
    CreatePlan plan = planned.plan().getCreate();
    assertThat(user(plan).getJoinHandle()).isZero();
    assertThat(plan.getUidMapsList())
        .containsExactly(IdMap.newBuilder().setHostId((int) 0x30000000L).setSize(65536).build());
    assertThat(plan.getRoot().getIdmap()).isTrue();
    assertThat(planned.stdioUid()).isEqualTo(0x30000000);
    assertThat(planned.notes()).anyMatch(note -> note.contains("805306368 to 805371903"));
  }

  @Test
  void singleIdsBeyondTheRangeAreMappedBehindIt() throws BrigException {
    SandboxConfig.Ids ids =
        new SandboxConfig.Ids(0x30000000L, 1 << 20, 65534, Set.of(1000650000L, 70000L), false);
    CreateInput in =
        Fixture.input(
            Fixture.spec(
                with("{\"type\": \"pid\"}", "")
                    .replace("\"args\"", "\"user\": {\"uid\": 1000650000}, \"args\"")));
    PlannedContainer planned =
        Fixture.plan(Fixture.hostV1(), config(ids), in, (source, report) -> {});
    assertThat(planned.plan().getCreate().getUidMapsList())
        .extracting(IdMap::getContainerId, IdMap::getHostId, IdMap::getSize)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple(0, 0x30000000, 65534),
            org.assertj.core.groups.Tuple.tuple(70000, 0x30000000 + 65534, 1),
            org.assertj.core.groups.Tuple.tuple(1000650000, 0x30000000 + 65535, 1));
    assertThat(planned.stdioUid()).isEqualTo(0x30000000 + 65535);
  }

  @Test
  void anIdOutsideTheMapIsNamedWithTheWayOut() {
    assertThatThrownBy(() ->
            Fixture.plan(
                Fixture.input(
                    Fixture.spec(
                        with("{\"type\": \"pid\"}", "")
                            .replace("\"args\"", "\"user\": {\"uid\": 100000}, \"args\"")))))
        .hasMessageContaining("process.user.uid: user id 100000 is not mapped")
        .hasMessageContaining("extra_ids")
        .hasMessageContaining("ids_per_pod");
  }

  @Test
  void mapsOfTheSpecAreUsedAndItsRootIsLeftAsItIs() throws BrigException {
    CreatePlan plan =
        Fixture.plan(Fixture.input(Fixture.spec(with("{\"type\": \"user\"}", MAPPED))))
            .plan()
            .getCreate();
    assertThat(plan.getUidMaps(0).getHostId()).isEqualTo(200000);
    assertThat(plan.getGidMaps(0).getHostId()).isEqualTo(300000);
    assertThat(plan.getRoot().getIdmap()).isFalse();
  }

  @Test
  void containerdsPseudoOptionsIdmapTheLayersAndLeaveTheUpperDirectory() throws BrigException {
    CreateInput in =
        Fixture.input(
            Fixture.spec(with("{\"type\": \"user\"}", MAPPED)),
            new RootfsMount(
                "overlay",
                "overlay",
                "",
                List.of(
                    "uidmap=0:200000:1000",
                    "gidmap=0:300000:1000",
                    "workdir=/s/2/work",
                    "upperdir=/s/2/fs",
                    "lowerdir=/s/1/fs")));
    CreatePlan plan = Fixture.plan(in).plan().getCreate();
    assertThat(plan.getRoot().getIdmap()).isTrue();
    assertThat(plan.getRoot().getOverlay().getKeepUpperIds()).isTrue();
    assertThat(plan.getRoot().getOverlay().getOptionsList()).isEmpty();
  }

  @Test
  void pseudoOptionsThatContradictTheNamespaceAreRefused() throws BrigException {
    CreateInput in =
        Fixture.input(
            Fixture.spec(with("{\"type\": \"user\"}", MAPPED)),
            new RootfsMount(
                "overlay",
                "overlay",
                "",
                List.of("uidmap=0:5000000:1000", "gidmap=0:300000:1000", "lowerdir=/a")));
    assertThatThrownBy(() -> Fixture.plan(in)).hasMessageContaining("are not the maps");
  }

  @Test
  void aNamespaceByPathIsJoinedWithItsMaps() throws BrigException {
    String joined = "{\"type\": \"user\", \"path\": \"/run/ns/user\"}";
    for (String maps : List.of("", MAPPED)) {
      CreatePlan plan =
          Fixture.plan(
                  Fixture.hostV1(),
                  SandboxConfig.DEFAULT,
                  Fixture.input(Fixture.spec(with(joined, maps))),
                  POD)
              .plan()
              .getCreate();
      assertThat(user(plan).getJoinHandle()).isPositive();
      assertThat(plan.getUidMaps(0).getHostId()).isEqualTo(200000);
      assertThat(plan.getRoot().getIdmap()).isFalse();
    }
  }

  @Test
  void mapsThatAreNotThoseOfTheJoinedNamespaceAreRefused() {
    String joined = "{\"type\": \"user\", \"path\": \"/run/ns/user\"}";
    assertThatThrownBy(() ->
            Fixture.plan(
                Fixture.hostV1(),
                SandboxConfig.DEFAULT,
                Fixture.input(Fixture.spec(with(joined, MAPPED.replace("200000", "900000")))),
                POD))
        .hasMessageContaining("is not the map of the user namespace that is joined");
  }

  @Test
  void anAppContainerJoinsItsPodsNamespaceAndStillGetsIdmappedMounts() throws BrigException {
    CreateInput in =
        Fixture.inPod(
            Fixture.input(Fixture.spec("", "")), new PodUserNamespace(77, List.of(), List.of()));
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    assertThat(planner.sources(in).sources())
        .anyMatch(source -> source.getPath().equals("/proc/77/ns/user"));
    CreatePlan plan =
        Fixture.plan(Fixture.hostV1(), SandboxConfig.DEFAULT, in, POD).plan().getCreate();
    assertThat(user(plan).getJoinHandle()).isPositive();
    assertThat(plan.getUidMaps(0).getHostId()).isEqualTo(200000);
    assertThat(plan.getRoot().getIdmap()).isTrue();
  }

  @Test
  void theHostsOwnNamespaceAndIdsAreNeverGiven() {
    String joined = "{\"type\": \"user\", \"path\": \"/proc/1/ns/user\"}";
    assertThatThrownBy(() ->
            Fixture.plan(
                Fixture.hostV1(),
                SandboxConfig.DEFAULT,
                Fixture.input(Fixture.spec(with(joined, ""))),
                (source, report) -> report.setOwnNamespace(true)))
        .hasMessageContaining("is the host's user namespace");
    String ontoRoot = MAPPED.replace("200000", "0");
    assertThatThrownBy(
            () -> Fixture.plan(Fixture.input(Fixture.spec(with("{\"type\": \"user\"}", ontoRoot)))))
        .hasMessageContaining("maps container id 0 to the host's own id 0");
  }

  @Test
  void anOperatorMayAllowTheHostsIds() throws BrigException {
    SandboxConfig.Ids ids = new SandboxConfig.Ids(0x30000000L, 1 << 20, 65536, Set.of(), true);
    String ontoHost = MAPPED.replace("200000", "1000");
    CreatePlan plan =
        Fixture.plan(
                Fixture.hostV1(),
                config(ids),
                Fixture.input(Fixture.spec(with("{\"type\": \"user\"}", ontoHost))),
                (source, report) -> {})
            .plan()
            .getCreate();
    assertThat(plan.getUidMaps(0).getHostId()).isEqualTo(1000);
  }
}
