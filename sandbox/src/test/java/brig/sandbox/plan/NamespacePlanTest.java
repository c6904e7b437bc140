package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.plan.CreatePlan;
import brig.proto.plan.Namespace;
import brig.proto.plan.Sysctl;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import org.junit.jupiter.api.Test;

final class NamespacePlanTest {
  private static String spec(String namespaces, String rest) {
    return """
    {"ociVersion": "1.2.0", "root": {"path": "rootfs"},
     "process": {"args": ["sh"], "cwd": "/"},
     "linux": {"namespaces": [{"type": "mount"}%s]%s}}
    """
        .formatted(namespaces, rest);
  }

  private static PlannedContainer planned(String json) throws BrigException {
    return Fixture.plan(
        Fixture.hostV1(),
        SandboxConfig.DEFAULT,
        Fixture.input(Fixture.spec(json)),
        (source, report) -> report.setOwnNamespace(source.getPath().startsWith("/host")));
  }

  private static CreatePlan plan(String namespaces, String rest) throws BrigException {
    return planned(spec(namespaces, rest)).plan().getCreate();
  }

  @Test
  void pathsAreJoinedAndOthersMade() throws BrigException {
    CreatePlan plan =
        plan(", {\"type\": \"ipc\", \"path\": \"/run/ipc\"}, {\"type\": \"uts\"}", "");
    assertThat(plan.getNamespacesList())
        .anySatisfy(namespace -> {
          assertThat(namespace.getKind()).isEqualTo(Namespace.Kind.IPC);
          assertThat(namespace.getJoinHandle()).isPositive();
        })
        .anySatisfy(namespace -> {
          assertThat(namespace.getKind()).isEqualTo(Namespace.Kind.UTS);
          assertThat(namespace.getJoinHandle()).isZero();
        });
  }

  @Test
  void whatANetworkOfAnotherUserNamespaceRefusesIsSaid() throws BrigException {
    String joined = ", {\"type\": \"network\", \"path\": \"/run/netns/cni\"}";
    assertThat(planned(spec(joined, "")).notes())
        .anyMatch(note -> note.startsWith("network: ") && note.contains("raw sockets"));
    assertThat(planned(spec(", {\"type\": \"network\"}", "")).notes())
        .noneMatch(note -> note.startsWith("network: "));
  }

  @Test
  void theLoopbackDeviceOfANewNetworkComesUp() throws BrigException {
    assertThat(plan(", {\"type\": \"network\"}", "").getLoopbackUp()).isTrue();
    assertThat(plan("", "").getLoopbackUp()).isFalse();
    String joined = ", {\"type\": \"network\", \"path\": \"/run/netns/cni\"}";
    assertThat(plan(joined, "").getLoopbackUp()).isFalse();
  }

  @Test
  void aPathThatIsTheHostsIsHostMode() throws BrigException {
    CreatePlan plan =
        plan(
            ", {\"type\": \"network\", \"path\": \"/host/net\"},"
                + " {\"type\": \"pid\", \"path\": \"/host/pid\"}",
            "");
    assertThat(plan.getNamespacesList())
        .extracting(Namespace::getKind)
        .doesNotContain(Namespace.Kind.NETWORK, Namespace.Kind.PID);
    assertThat(plan.getSysctlsList()).isEmpty();
  }

  @Test
  void withoutAPidNamespaceOfItsOwnEverythingIsKilledAtItsEnd() throws BrigException {
    assertThat(planned(spec("", "")).care().getKillAllOnExit()).isTrue();
    assertThat(
            planned(spec(", {\"type\": \"pid\", \"path\": \"/run/pid\"}", ""))
                .care()
                .getKillAllOnExit())
        .isTrue();
    assertThat(planned(spec(", {\"type\": \"pid\"}", "")).care().getKillAllOnExit()).isFalse();
  }

  @Test
  void aMountNamespaceOfItsOwnIsRequired() {
    assertThatThrownBy(() ->
            planned(
                """
                {"ociVersion": "1.2.0", "root": {"path": "rootfs"},
                 "process": {"args": ["sh"], "cwd": "/"}}
                """))
        .hasMessageContaining("linux.namespaces");
    assertThatThrownBy(
            () -> planned(spec("", "").replace("\"mount\"", "\"mount\", \"path\": \"/run/mnt\"")))
        .hasMessageContaining("linux.namespaces");
  }

  @Test
  void timeOffsetsGoIntoANewNamespaceOnly() throws BrigException {
    String offsets = ", \"timeOffsets\": {\"monotonic\": {\"secs\": 7, \"nanosecs\": 8}}";
    CreatePlan plan = plan(", {\"type\": \"time\"}", offsets);
    assertThat(plan.getTimeOffsets(0).getClock()).isEqualTo("monotonic");
    assertThat(plan.getTimeOffsets(0).getSecs()).isEqualTo(7);
    assertThat(plan.getTimeOffsets(0).getNanosecs()).isEqualTo(8);
    assertThatThrownBy(() -> plan(", {\"type\": \"time\", \"path\": \"/run/t\"}", offsets))
        .hasMessageContaining("linux.timeOffsets");
  }

  @Test
  void theContainerThatOwnsTheNetworkOpensPingAndLowPortsWhereOthersMadeIt() throws BrigException {
    assertThat(plan(", {\"type\": \"network\"}", "").getSysctlsList())
        .extracting(Sysctl::getPath, Sysctl::getValue)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("net/ipv4/ping_group_range", "0 2147483647"));
    String cni = spec(", {\"type\": \"network\", \"path\": \"/run/netns/cni\"}", "");
    String sandbox =
        cni.replace(
            "\"root\"",
            "\"annotations\": {\"io.kubernetes.cri.container-type\": \"sandbox\"}, \"root\"");
    assertThat(planned(sandbox).plan().getCreate().getSysctlsList())
        .extracting(Sysctl::getPath, Sysctl::getValue)
        .containsExactly(
            org.assertj.core.groups.Tuple.tuple("net/ipv4/ip_unprivileged_port_start", "0"),
            org.assertj.core.groups.Tuple.tuple("net/ipv4/ping_group_range", "0 2147483647"));
    assertThat(planned(sandbox.replace("\"sandbox\"", "\"container\"")).plan().getCreate())
        .satisfies(plan -> assertThat(plan.getSysctlsList()).isEmpty());
    assertThat(planned(cni).plan().getCreate().getSysctlsList()).isEmpty();
    String host = sandbox.replace("/run/netns/cni", "/host/net");
    assertThat(planned(host).plan().getCreate().getSysctlsList()).isEmpty();
  }

  @Test
  void theSpecsOwnSysctlWins() throws BrigException {
    CreatePlan plan =
        plan(
            ", {\"type\": \"network\"}, {\"type\": \"ipc\"}",
            """
            , "sysctl": {"net.ipv4.ip_unprivileged_port_start": "80", "kernel.shmmax": "5",
                         "fs/mqueue/msg_max": "6", "net.ipv4.conf.eth0/1.forwarding": "1"}\
            """);
    assertThat(plan.getSysctlsList())
        .extracting(Sysctl::getPath, Sysctl::getValue, Sysctl::getNamespace)
        .contains(
            org.assertj.core.groups.Tuple.tuple(
                "net/ipv4/ip_unprivileged_port_start", "80", Namespace.Kind.NETWORK),
            org.assertj.core.groups.Tuple.tuple("kernel/shmmax", "5", Namespace.Kind.IPC),
            org.assertj.core.groups.Tuple.tuple("fs/mqueue/msg_max", "6", Namespace.Kind.IPC),
            org.assertj.core.groups.Tuple.tuple(
                "net/ipv4/conf/eth0.1/forwarding", "1", Namespace.Kind.NETWORK));
  }

  @Test
  void sysctlsOfTheHostAreRefused() {
    for (String key :
        new String[] {"kernel.core_pattern", "vm.overcommit_memory", "kernel.hostname"}) {
      assertThatThrownBy(() -> plan("", ", \"sysctl\": {\"" + key + "\": \"1\"}"))
          .hasMessageContaining("linux.sysctl." + key);
    }
    assertThatThrownBy(() -> plan("", ", \"sysctl\": {\"net.core.somaxconn\": \"1\"}"))
        .hasMessageContaining("would be set in the host's network namespace");
    assertThatThrownBy(() ->
            plan(", {\"type\": \"network\"}", ", \"sysctl\": {\"net.ipv4/../../kernel/x\": \"1\"}"))
        .hasMessageContaining("is not the name of a kernel parameter");
  }

  @Test
  void namesAreSetInAUtsNamespaceOfItsOwn() throws BrigException {
    CreatePlan plan =
        planned(
                spec(", {\"type\": \"uts\"}", "")
                    .replace("\"root\"", "\"hostname\": \"h\", \"domainname\": \"d\", \"root\""))
            .plan()
            .getCreate();
    assertThat(plan.getHostname()).isEqualTo("h");
    assertThat(plan.getDomainname()).isEqualTo("d");
    assertThatThrownBy(() ->
            planned(
                spec(", {\"type\": \"uts\", \"path\": \"/host/uts\"}", "")
                    .replace("\"root\"", "\"hostname\": \"h\", \"root\"")))
        .hasMessageContaining("hostname: would be set in the host's");
  }
}
