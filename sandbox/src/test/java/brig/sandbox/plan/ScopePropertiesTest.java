package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.plan.CgroupDir;
import brig.proto.plan.Cgroups;
import brig.sandbox.BrigException;
import brig.sandbox.dbus.Variant;
import brig.sandbox.spec.SpecParser;
import brig.sandbox.systemd.UnitProperty;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Containers in scopes of systemd's: where they stand, and what systemd is told. */
final class ScopePropertiesTest {
  private static final String PATH = ", \"cgroupsPath\": \"a-b.slice:cri:x\"";

  private static List<UnitProperty> of(String resources) throws BrigException {
    return ScopeProperties.of(
        SpecParser.parseResources(resources.getBytes(StandardCharsets.UTF_8)));
  }

  private static UnitProperty number(String name, long value) {
    return new UnitProperty(name, Variant.uint64(value));
  }

  @Test
  void theScopesDirectoryIsFoundAndNotMade() throws BrigException {
    Cgroups cgroups =
        Fixture.plan(Fixture.hostV2(), Fixture.input(Fixture.spec(PATH, "")))
            .plan()
            .getCreate()
            .getCgroups();
    assertThat(cgroups.getScope().getUnit()).isEqualTo("cri-x.scope");
    assertThat(cgroups.getScope().getSlice()).isEqualTo("a-b.slice");
    CgroupDir dir = cgroups.getDirs(0);
    assertThat(dir.getPath()).isEqualTo("a.slice/a-b.slice/cri-x.scope");
    assertThat(dir.getCreate()).isFalse();
    assertThat(dir.getEnableList()).contains("memory", "hugetlb");
  }

  @Test
  void onCgroupV1ItIsRefusedWithTheWayOut() {
    assertThatThrownBy(() -> Fixture.plan(Fixture.hostV1(), Fixture.input(Fixture.spec(PATH, ""))))
        .hasMessageContaining("cgroup v2 only")
        .hasMessageContaining("cgroupfs");
  }

  @Test
  void limitsBecomeProperties() throws BrigException {
    assertThat(
            of(
                """
                {"memory": {"limit": 100, "swap": 150, "reservation": 50}, "pids": {"limit": 7},
                 "cpu": {"shares": 1024, "quota": 12345, "period": 50000, "cpus": "0-1,9", "mems": "0"},
                 "blockIO": {"weight": 1000}}
                """))
        .containsExactlyInAnyOrder(
            number("CPUWeight", 100),
            number("CPUQuotaPeriodUSec", 50000),
            number("CPUQuotaPerSecUSec", 250000),
            new UnitProperty("AllowedCPUs", Variant.bytes(new byte[] {3, 2})),
            new UnitProperty("AllowedMemoryNodes", Variant.bytes(new byte[] {1})),
            number("MemoryMax", 100),
            number("MemorySwapMax", 50),
            number("MemoryLow", 50),
            number("TasksMax", 7),
            number("IOWeight", 10000));
  }

  @Test
  void noLimitIsInfinityAndWhatIsNotGivenIsNotSaid() throws BrigException {
    assertThat(of("{}")).isEmpty();
    assertThat(
            of(
                """
                {"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}, "cpu": {"quota": -1}}
                """))
        .containsExactlyInAnyOrder(
            number("MemoryMax", -1),
            number("MemorySwapMax", -1),
            number("TasksMax", -1),
            number("CPUQuotaPeriodUSec", 100000),
            number("CPUQuotaPerSecUSec", -1));
  }

  @Test
  void unifiedHasTheLastWord() throws BrigException {
    assertThat(
            of(
                """
                {"memory": {"limit": 100}, "unified": {"memory.max": "200", "memory.high": "max",
                  "cpu.max": "1000 20000", "cpu.weight": "33", "cpuset.cpus": "2", "io.bfq.weight": "5"}}
                """))
        .containsExactlyInAnyOrder(
            number("MemoryMax", 200),
            number("MemoryHigh", -1),
            number("CPUQuotaPeriodUSec", 20000),
            number("CPUQuotaPerSecUSec", 50000),
            number("CPUWeight", 33),
            new UnitProperty("AllowedCPUs", Variant.bytes(new byte[] {4})));
    for (String weight : List.of("default 70", "70", "8:0 9\\ndefault 70")) {
      assertThat(of("{\"unified\": {\"io.weight\": \"" + weight + "\"}}"))
          .containsExactly(number("IOWeight", 70));
    }
    assertThat(of("{\"unified\": {\"io.weight\": \"8:0 9\", \"cpu.idle\": \"1\"}}"))
        .containsExactly(number("CPUWeight", 0));
  }
}
