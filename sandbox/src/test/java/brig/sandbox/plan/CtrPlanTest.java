package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.plan.CgroupWrite;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.Mount;
import brig.proto.plan.Namespace;
import brig.sandbox.BrigException;
import brig.sandbox.spec.SpecParser;
import org.junit.jupiter.api.Test;

/** The spec that containerd's ctr makes, planned. */
final class CtrPlanTest {
  private static CreatePlan plan(String spec) throws BrigException {
    return Fixture.plan(Fixture.input(SpecParser.parse(Fixture.resource(spec)))).plan().getCreate();
  }

  @Test
  void theContainerGetsItsNamespacesAndAUserNamespaceWithThePodsRange() throws BrigException {
    CreatePlan plan = plan("ctr-spec.json");
    assertThat(plan.getNamespacesList())
        .allMatch(namespace -> namespace.getJoinHandle() == 0)
        .extracting(Namespace::getKind)
        .containsExactlyInAnyOrder(
            Namespace.Kind.USER,
            Namespace.Kind.PID,
            Namespace.Kind.NETWORK,
            Namespace.Kind.MOUNT,
            Namespace.Kind.IPC,
            Namespace.Kind.UTS);
    assertThat(plan.getUidMapsList())
        .singleElement()
        .satisfies(map -> {
          assertThat(map.getContainerId()).isZero();
          assertThat(map.getHostId()).isEqualTo(0x30000000);
          assertThat(map.getSize()).isEqualTo(65536);
        });
    assertThat(plan.getGidMapsList()).isEqualTo(plan.getUidMapsList());
  }

  @Test
  void theLayersAreIdmappedWithUpperAndWorkInOneDirectory() throws BrigException {
    CreatePlan plan = plan("ctr-spec.json");
    assertThat(plan.getRoot().getIdmap()).isTrue();
    assertThat(plan.getRoot().getOverlay().getLowerList()).containsExactly(1);
    assertThat(plan.getRoot().getOverlay().getUpperParent()).isEqualTo(2);
    assertThat(plan.getRoot().getOverlay().getUpperName()).isEqualTo("fs");
    assertThat(plan.getRoot().getOverlay().getWorkName()).isEqualTo("work");
    assertThat(plan.getRoot().getOverlay().getOptionsList()).containsExactly("index=off");
  }

  @Test
  void mountsKeepTheSpecsOrderAndIdsInOptionsAreTheHosts() throws BrigException {
    CreatePlan plan = plan("ctr-spec.json");
    assertThat(plan.getMountsList())
        .extracting(Mount::getDestination)
        .containsExactly("/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/run");
    assertThat(plan.getMounts(2).getFresh().getOptionsList())
        .contains("gid=" + (0x30000000L + 5), "newinstance", "ptmxmode=0666");
  }

  @Test
  void devicesAreDeniedFirstAndEachIsPermittedOnce() throws BrigException {
    CreatePlan plan = plan("ctr-spec.json");
    assertThat(plan.getCgroups().getWritesList())
        .extracting(CgroupWrite::getFile)
        .first()
        .isEqualTo("devices.deny");
    assertThat(plan.getCgroups().getWritesList())
        .extracting(CgroupWrite::getValue)
        .contains("c 1:3 rwm", "c 136:* rwm", "c *:* m")
        .doesNotHaveDuplicates();
    assertThat(plan.getCgroups().getDirsList())
        .hasSize(9)
        .allMatch(dir -> dir.getPath().equals("default/c1") && !dir.getV2());
  }

  @Test
  void theProcessIsConfinedWhateverTheSpecLeavesOut() throws BrigException {
    CreatePlan plan = plan("ctr-spec.json");
    assertThat(plan.getProcess().getNoNewPrivileges()).isTrue();
    assertThat(plan.getProcess().getSeccompList())
        .singleElement()
        .satisfies(filter -> assertThat(filter.getProgram().size()).isPositive());
    assertThat(plan.getProcess().getCapabilities().getBounding()).isEqualTo(0xa80425fbL);
    assertThat(plan.getProcess().getCapabilities().getAmbient()).isZero();
    assertThat(plan.getMaskedPathsList()).contains("/proc/kcore", "/sys/firmware", "/proc/keys");
    assertThat(plan.getReadonlyPathsList()).contains("/proc/sys", "/proc/sysrq-trigger");
  }

  @Test
  void theSpecsOwnFilterReplacesTheBuiltInOne() throws BrigException {
    CreatePlan own = plan("ctr-seccomp-spec.json");
    CreatePlan builtin = plan("ctr-spec.json");
    assertThat(own.getProcess().getSeccompList())
        .hasSize(1)
        .isNotEqualTo(builtin.getProcess().getSeccompList());
  }

  @Test
  void theSameInputGivesTheSamePlan() throws BrigException {
    assertThat(plan("ctr-spec.json").toByteString())
        .isEqualTo(plan("ctr-spec.json").toByteString());
  }
}
