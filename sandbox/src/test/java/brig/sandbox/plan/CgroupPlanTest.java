package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.CgroupMount;
import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.HostFacts;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.Cgroups;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.SpecParser;
import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class CgroupPlanTest {
  private static PlannedContainer planned(HostFacts.Builder host, String path, String resources)
      throws BrigException {
    return Fixture.plan(
        host,
        Fixture.input(
            Fixture.spec(
                ", \"cgroupsPath\": \"" + path + "\", \"resources\": {" + resources + "}", "")));
  }

  /** Writes besides device rules, as {@code controller/file=value}. */
  private static List<String> writes(HostFacts.Builder host, String resources)
      throws BrigException {
    Cgroups cgroups = planned(host, "/k/c1", resources).plan().getCreate().getCgroups();
    return cgroups.getWritesList().stream()
        .filter(write -> !write.getFile().startsWith("devices."))
        .map(write ->
            cgroups.getDirs(write.getDir()).getMountPoint().replaceFirst("/sys/fs/cgroup/?", "")
                + "/"
                + write.getFile()
                + "="
                + write.getValue())
        .toList();
  }

  private static final String EVERYTHING =
      """
      "memory": {"limit": 1048576, "reservation": 524288, "swap": 3145728},
      "cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 1000, "cpus": "0-1",
              "mems": "0"},
      "pids": {"limit": 10},
      "blockIO": {"weight": 500, "weightDevice": [{"major": 8, "minor": 0, "weight": 10}],
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 601}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 602}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 603}]}\
      """;

  @Test
  void limitsOnV1() throws BrigException {
    assertThat(writes(Fixture.hostV1(), EVERYTHING))
        .containsExactly(
            "cpu/cpu.shares=512",
            "cpu/cpu.cfs_period_us=100000",
            "cpu/cpu.cfs_quota_us=50000",
            "cpu/cpu.cfs_burst_us=1000",
            "cpuset/cpuset.cpus=0-1",
            "cpuset/cpuset.mems=0",
            "memory/memory.limit_in_bytes=1048576",
            "memory/memory.memsw.limit_in_bytes=3145728",
            "memory/memory.soft_limit_in_bytes=524288",
            "pids/pids.max=10",
            "blkio/blkio.bfq.weight=500",
            "blkio/blkio.bfq.weight_device=8:0 10",
            "blkio/blkio.throttle.read_bps_device=8:0 600",
            "blkio/blkio.throttle.write_bps_device=8:0 601",
            "blkio/blkio.throttle.read_iops_device=8:0 602",
            "blkio/blkio.throttle.write_iops_device=8:0 603");
  }

  @Test
  void limitsThatOnlyV1Has() throws BrigException {
    assertThat(
            writes(
                Fixture.hostV1(),
                """
                "memory": {"swappiness": 0, "disableOOMKiller": true, "kernelTCP": 5},
                "cpu": {"realtimeRuntime": 950000, "realtimePeriod": 1000000, "idle": 1}\
                """))
        .containsExactly(
            "cpu/cpu.rt_period_us=1000000",
            "cpu/cpu.rt_runtime_us=950000",
            "cpu/cpu.idle=1",
            "memory/memory.kmem.tcp.limit_in_bytes=5",
            "memory/memory.swappiness=0",
            "memory/memory.oom_control=1");
    HostFacts.Builder host =
        Fixture.hostV1()
            .addCgroups(mount("net_cls"))
            .addCgroups(mount("net_prio"))
            .addCgroups(mount("hugetlb"))
            .addCgroups(mount("rdma"));
    assertThat(
            writes(
                host,
                """
                "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]},
                "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
                "rdma": {"mlx": {"hcaHandles": 3}}\
                """))
        .containsExactly(
            "hugetlb/hugetlb.2MB.rsvd.limit_in_bytes=4194304",
            "hugetlb/hugetlb.2MB.limit_in_bytes=4194304",
            "net_cls/net_cls.classid=1048577",
            "net_prio/net_prio.ifpriomap=eth0 5",
            "rdma/rdma.max=mlx hca_handle=3");
  }

  private static CgroupMount mount(String controller) {
    return CgroupMount.newBuilder()
        .setMountPoint("/sys/fs/cgroup/" + controller)
        .addControllers(controller)
        .build();
  }

  @Test
  void whatIsMountedOfV1BesideV2ChangesNothing() throws BrigException {
    HostFacts.Builder host =
        Fixture.hostV2().addCgroups(mount("net_cls")).addCgroups(mount("name=systemd"));
    assertThat(planned(host, "/k/c1", EVERYTHING).plan())
        .isEqualTo(planned(Fixture.hostV2(), "/k/c1", EVERYTHING).plan());
  }

  @Test
  void networkClassesAreV1sOnEveryHost() throws BrigException {
    HostFacts.Builder host =
        Fixture.hostV2().addCgroups(mount("net_cls")).addCgroups(mount("net_prio"));
    String asked =
        """
        "memory": {"limit": 1048576},
        "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 5}]}\
        """;
    assertThat(writes(host, asked))
        .containsExactly(
            "/memory.max=1048576",
            "net_cls/net_cls.classid=1048577",
            "net_prio/net_prio.ifpriomap=eth0 5");
    PlannedContainer planned = planned(host, "/k/c1", asked);
    assertThat(planned.plan().getCreate().getCgroups().getDeviceProgram().isEmpty()).isFalse();
    assertThat(planned.care().getCgroupV2()).isTrue();
    assertThat(planned.cgroups()).hasSize(3);
    assertThat(planned.cgroups().stream().filter(dir -> !dir.getHidden()))
        .as("what the container sees")
        .singleElement()
        .satisfies(dir -> assertThat(dir.getV2()).isTrue());
    assertThat(planned(host, "s.slice:p:c1", asked).cgroups())
        .filteredOn(CgroupDir::getCreate)
        .as("what systemd doesn't make")
        .extracting(CgroupDir::getMountPoint)
        .containsExactly("/sys/fs/cgroup/net_cls", "/sys/fs/cgroup/net_prio");
  }

  @Test
  void limitsOnV2() throws BrigException {
    assertThat(writes(Fixture.hostV2(), EVERYTHING))
        .containsExactly(
            "/cpu.weight=59",
            "/cpu.max=50000 100000",
            "/cpu.max.burst=1000",
            "/cpuset.cpus=0-1",
            "/cpuset.mems=0",
            "/memory.swap.max=2097152",
            "/memory.max=1048576",
            "/memory.low=524288",
            "/pids.max=10",
            "/io.weight=default 4950",
            "/io.weight=8:0 1",
            "/io.max=8:0 rbps=600",
            "/io.max=8:0 wbps=601",
            "/io.max=8:0 riops=602",
            "/io.max=8:0 wiops=603");
    assertThat(
            writes(
                Fixture.hostV2(),
                """
                "memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1},
                "hugepageLimits": [{"pageSize": "1GB", "limit": 0}],
                "rdma": {"mlx": {"hcaHandles": 3, "hcaObjects": 4}},
                "unified": {"memory.high": "1000", "cgroup.max.depth": "3",
                            "io.latency": "8:0 target=75\\n8:16 target=9"}\
                """))
        .containsExactly(
            "/memory.swap.max=max",
            "/memory.max=max",
            "/pids.max=max",
            "/hugetlb.1GB.rsvd.max=0",
            "/hugetlb.1GB.max=0",
            "/rdma.max=mlx hca_handle=3 hca_object=4",
            "/memory.high=1000",
            "/cgroup.max.depth=3",
            "/io.latency=8:0 target=75",
            "/io.latency=8:16 target=9");
  }

  @Test
  void sharesBecomeWeightsOnTheCurveThroughBothDefaults() {
    assertThat(LimitsV2.weight(2)).isEqualTo(1);
    assertThat(LimitsV2.weight(1024)).isEqualTo(100);
    assertThat(LimitsV2.weight(262144)).isEqualTo(10000);
    assertThat(LimitsV2.weight(1)).isEqualTo(1);
    long last = 0;
    for (long shares = 2; shares <= 262144; shares += 97) {
      long weight = LimitsV2.weight(shares);
      assertThat(weight).isGreaterThanOrEqualTo(last).isBetween(1L, 10000L);
      last = weight;
    }
  }

  @Test
  void devicesOnV2AreAProgram() throws BrigException {
    Cgroups cgroups = planned(Fixture.hostV2(), "/k/c1", "").plan().getCreate().getCgroups();
    assertThat(cgroups.getDeviceProgram().size()).isPositive();
    assertThat(cgroups.getWritesList()).isEmpty();
    assertThat(cgroups.getDirs(0).getEnableList()).contains("memory", "pids", "cpu");
    Cgroups v1 = planned(Fixture.hostV1(), "/k/c1", "").plan().getCreate().getCgroups();
    assertThat(v1.getDeviceProgram().isEmpty()).isTrue();
  }

  @Test
  void theHybridTreeIsEnteredOnlyForWhatLivesInIt() throws BrigException {
    HostFacts.Builder host = Fixture.hostV1();
    host.setCgroups(
        host.getCgroupsCount() - 1,
        host.getCgroups(host.getCgroupsCount() - 1).toBuilder().addControllers("hugetlb"));
    assertThat(planned(host, "/k/c1", "").cgroups()).noneMatch(CgroupDir::getV2);
    String huge = "\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 0}]";
    assertThat(planned(host, "/k/c1", huge).cgroups()).anyMatch(CgroupDir::getV2);
    assertThat(writes(host, huge))
        .containsExactly("unified/hugetlb.2MB.rsvd.max=0", "unified/hugetlb.2MB.max=0");
    assertThat(planned(host, "/k/c1", huge).care().getCgroupV2()).isFalse();
  }

  @Test
  void wherePathsLead() throws BrigException {
    assertThat(planned(Fixture.hostV2(), "/kubepods/pod1/c1", "").cgroups().getFirst().getPath())
        .isEqualTo("kubepods/pod1/c1");
    assertThat(planned(Fixture.hostV2(), "", "").cgroups().getFirst().getPath())
        .isEqualTo("brig/default/c1");
    assertThat(planned(Fixture.hostV2(), "mine/c1", "").cgroups().getFirst().getPath())
        .isEqualTo("brig/mine/c1");
    PlannedContainer v1 = planned(Fixture.hostV1(), "/k/c1", "");
    assertThat(v1.care().getOomDir()).isEqualTo("/sys/fs/cgroup/memory/k/c1");
    assertThat(v1.care().getCgroupDirsList()).contains("/sys/fs/cgroup/pids/k/c1").hasSize(9);
    assertThatThrownBy(() -> planned(Fixture.hostV2(), "/k/../../etc", ""))
        .hasMessageContaining("linux.cgroupsPath");
    assertThatThrownBy(() -> planned(Fixture.hostV2(), "/", ""))
        .hasMessageContaining("is the root of the hierarchy");
    assertThatThrownBy(() -> planned(Fixture.hostV1(), "system.slice:docker:c1", ""))
        .isInstanceOfSatisfying(
            BrigException.class,
            e -> assertThat(e.kind()).isEqualTo(BrigException.Kind.UNIMPLEMENTED));
  }

  @Test
  void whatThisHostCannotLimitIsRefusedByField() {
    for (String[] each :
        new String[][] {
          {"\"memory\": {\"kernel\": 5}", "linux.resources.memory.kernel"},
          {"\"blockIO\": {\"leafWeight\": 5}", "linux.resources.blockIO.leafWeight"},
          {"\"memory\": {\"swappiness\": 101}", "linux.resources.memory.swappiness"},
          {"\"memory\": {\"useHierarchy\": false}", "linux.resources.memory.useHierarchy"},
          {"\"unified\": {\"memory.high\": \"1\"}", "linux.resources.unified.memory.high"},
          {"\"network\": {\"classID\": 1}", "linux.resources.network.classID"}
        }) {
      assertThatThrownBy(() -> writes(Fixture.hostV1(), each[0])).hasMessageContaining(each[1]);
    }
    for (String[] each :
        new String[][] {
          {"\"memory\": {\"swappiness\": 0}", "linux.resources.memory.swappiness"},
          {"\"memory\": {\"disableOOMKiller\": true}", "linux.resources.memory.disableOOMKiller"},
          {"\"memory\": {\"kernelTCP\": 1}", "linux.resources.memory.kernelTCP"},
          {"\"memory\": {\"swap\": 1}", "linux.resources.memory.swap"},
          {"\"cpu\": {\"realtimeRuntime\": 1}", "linux.resources.cpu.realtimeRuntime"},
          {"\"network\": {\"classID\": 1}", "linux.resources.network"}
        }) {
      assertThatThrownBy(() -> writes(Fixture.hostV2(), each[0])).hasMessageContaining(each[1]);
    }
  }

  private static List<CgroupDir> dirs(HostFacts.Builder host) throws BrigException {
    return planned(host, "/k/c1", "").cgroups();
  }

  private static List<String> update(
      HostFacts.Builder host, String resources, Map<String, String> present) throws BrigException {
    Planner planner = new Planner(host.build(), SandboxConfig.DEFAULT);
    Resources parsed =
        SpecParser.parseResources(("{" + resources + "}").getBytes(StandardCharsets.UTF_8));
    List<FileContent> current =
        planner.updateReads(dirs(host), parsed).stream()
            .map(path -> {
              String content = present.get(path.substring(path.lastIndexOf('/') + 1));
              return content == null
                  ? FileContent.getDefaultInstance()
                  : FileContent.newBuilder()
                      .setExists(true)
                      .setContent(ByteString.copyFromUtf8(content + "\n"))
                      .build();
            })
            .toList();
    return planner.update(dirs(host), parsed, current).stream()
        .map(write -> write.getPath().replaceFirst(".*/", "") + "=" + write.getValue())
        .toList();
  }

  @Test
  void v1RaisesMemoryAndSwapBeforeMemoryAndLowersItAfter() throws BrigException {
    Map<String, String> now = Map.of("memory.memsw.limit_in_bytes", "2000000");
    assertThat(update(Fixture.hostV1(), "\"memory\": {\"limit\": 4000000, \"swap\": 8000000}", now))
        .containsExactly("memory.memsw.limit_in_bytes=8000000", "memory.limit_in_bytes=4000000");
    assertThat(update(Fixture.hostV1(), "\"memory\": {\"limit\": 1000000, \"swap\": 1500000}", now))
        .containsExactly("memory.limit_in_bytes=1000000", "memory.memsw.limit_in_bytes=1500000");
    assertThat(update(Fixture.hostV1(), "\"memory\": {\"limit\": -1, \"swap\": -1}", now))
        .containsExactly("memory.memsw.limit_in_bytes=-1", "memory.limit_in_bytes=-1");
  }

  @Test
  void onlyWhatIsGivenChanges() throws BrigException {
    assertThat(update(Fixture.hostV1(), "\"pids\": {\"limit\": 5}", new HashMap<>()))
        .containsExactly("pids.max=5");
    assertThat(
            update(Fixture.hostV2(), "\"cpu\": {\"quota\": 20000}", Map.of("cpu.max", "max 50000")))
        .containsExactly("cpu.max=20000 50000");
    assertThat(
            update(
                Fixture.hostV2(),
                "\"cpu\": {\"period\": 200000}",
                Map.of("cpu.max", "30000 50000")))
        .containsExactly("cpu.max=30000 200000");
    assertThat(
            update(
                Fixture.hostV1(),
                "\"devices\": [{\"allow\": false, \"access\": \"rwm\"}]",
                new HashMap<>()))
        .isEmpty();
  }

  @Test
  void swapAloneIsCountedFromTheMemoryLimitThatStands() throws BrigException {
    assertThat(
            update(Fixture.hostV2(), "\"memory\": {\"swap\": 3000}", Map.of("memory.max", "1000")))
        .contains("memory.swap.max=2000");
    assertThatThrownBy(() ->
            update(Fixture.hostV2(), "\"memory\": {\"swap\": 3000}", Map.of("memory.max", "max")))
        .hasMessageContaining("linux.resources.memory.swap");
  }

  @Test
  void aLimitBelowTheUseIsRefusedWhereTheClientAsksForTheCheck() {
    assertThatThrownBy(() ->
            update(
                Fixture.hostV2(),
                "\"memory\": {\"limit\": 4096, \"checkBeforeUpdate\": true}",
                Map.of("memory.current", "8192")))
        .hasMessageContaining("the container uses 8192 bytes");
  }

  @Test
  void pausingWaitsUntilEverythingStands() throws BrigException {
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    CgroupOp v1 = planner.pause("c1", dirs(Fixture.hostV1()));
    assertThat(v1.getWrites(0).getPath()).isEqualTo("/sys/fs/cgroup/freezer/k/c1/freezer.state");
    assertThat(v1.getWrites(0).getValue()).isEqualTo("FROZEN");
    assertThat(v1.getAwaitContent()).isEqualTo("FROZEN");
    CgroupOp v2 = planner.resume("c1", dirs(Fixture.hostV2()));
    assertThat(v2.getWrites(0).getPath()).isEqualTo("/sys/fs/cgroup/k/c1/cgroup.freeze");
    assertThat(v2.getWrites(0).getValue()).isEqualTo("0");
    assertThat(v2.getAwaitFile()).endsWith("/cgroup.events");
    assertThat(v2.getAwaitContent()).isEqualTo("frozen 0");
  }
}
