package brig.testing.integration;

import static brig.testing.cri.CriClient.namespaces;
import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Http;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Links;
import brig.testing.proto.cri.Int64Value;
import brig.testing.proto.cri.NamespaceMode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Pods in a network that CNI makes before the pod, owned by the host's user namespace. */
@EachContainerd
class PodNetworkTest extends CriTest {

  private static final Path PORT_START = Path.of("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  private static final Path PING_GROUPS = Path.of("/proc/sys/net/ipv4/ping_group_range");

  /** By hand: Debian's static busybox dies of its own wget. */
  private static final String GET = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc ";

  PodNetworkTest(Containerd containerd) {
    super(containerd);
  }

  private static PodContainer server(Pod pod, long user) {
    PodContainer server =
        pod.start(config -> {
          config.addAllCommand(
              List.of(
                  "sh",
                  "-c",
                  "mkdir /tmp/www; echo served by $(id -u) > /tmp/www/index.html; exec httpd -vv -f -p 80 -h /tmp/www"));
          config
              .getLinuxBuilder()
              .getSecurityContextBuilder()
              .setRunAsUser(Int64Value.newBuilder().setValue(user));
        });
    brig.testing.Eventually.holds(
        "it listens on port 80 (50 in hexadecimal)",
        () -> server.sh("cat /proc/net/tcp6 /proc/net/tcp").contains(":0050 "),
        server::log);
    return server;
  }

  @Test
  void aPodHasItsAddressAndLoopback() {
    Pod pod = pod();
    PodContainer container = pod.sleeping();
    assertThat(pod.address()).startsWith(containerd.network().prefix());
    assertThat(container.sh("ip -4 addr show eth0")).contains(pod.address() + "/24");
    assertThat(container.sh("ip addr show lo")).contains("127.0.0.1").contains("UP");
    assertThat(container.sh("ls /sys/class/net")).contains("eth0", "lo");
  }

  @Test
  void rootInsideServesPort80ToTheHostAndToOtherPods() {
    Pod pod = pod();
    server(pod, 0);
    assertThat(Http.get(pod.address())).isEqualTo("served by 0\n");
    assertThat(pod().sleeping().sh(GET + pod.address() + " 80")).endsWith("served by 0");
    assertThat(pod.sleeping().sh(GET + "127.0.0.1 80")).endsWith("served by 0");
  }

  @Test
  void aUserInsideServesPort80() {
    Pod pod = pod();
    server(pod, 1000);
    assertThat(Http.get(pod.address())).isEqualTo("served by 1000\n");
  }

  @Test
  void rootAndUsersInsidePing() {
    Pod other = pod();
    Pod pod = pod();
    for (long user : List.of(0L, 1000L)) {
      PodContainer container =
          pod.start(config -> {
            config.addAllCommand(List.of("sleep", "600"));
            config
                .getLinuxBuilder()
                .getSecurityContextBuilder()
                .setRunAsUser(Int64Value.newBuilder().setValue(user));
          });
      assertThat(container.exec("brig-probe", "ping", other.address()).stdout())
          .as("user %d", user)
          .startsWith("ping\tok");
    }
  }

  @Test
  void theHostsNetworkSettingsStayAsTheyWere() throws IOException {
    String ports = Files.readString(PORT_START);
    String groups = Files.readString(PING_GROUPS);
    Pod inHost =
        pod(config -> {
          namespaces(config).setNetwork(NamespaceMode.NODE);
          config.clearHostname();
        });
    inHost.sleeping();
    inHost.sleeping();
    pod().sleeping();
    assertThat(Files.readString(PORT_START)).isEqualTo(ports);
    assertThat(Files.readString(PING_GROUPS)).isEqualTo(groups);
  }

  @Test
  void aPodsSettingIsNotOverwrittenByItsOtherContainers() {
    Pod pod =
        pod(config ->
            config.getLinuxBuilder().putSysctls("net.ipv4.ip_unprivileged_port_start", "500"));
    assertThat(pod.sleeping().sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"))
        .isEqualTo("500");
    assertThat(pod.sleeping().sh("cat /proc/sys/net/ipv4/ip_unprivileged_port_start"))
        .isEqualTo("500");
  }

  @Test
  void namesComeFromThePodsFiles() {
    Pod pod =
        pod(config -> {
          config.setHostname("a-pods-name");
          config
              .getDnsConfigBuilder()
              .addServers("198.18.0.53")
              .addSearches("svc.cluster.example")
              .addOptions("ndots:5");
        });
    PodContainer container = pod.sleeping();
    assertThat(container.sh("hostname")).isEqualTo("a-pods-name");
    assertThat(container.sh("cat /etc/hostname")).isEqualTo("a-pods-name");
    assertThat(container.sh("echo $HOSTNAME")).isEqualTo("a-pods-name");
    assertThat(container.sh("cat /etc/resolv.conf"))
        .contains("nameserver 198.18.0.53", "search svc.cluster.example", "options ndots:5");
    assertThat(container.sh("cat /etc/hosts")).contains("localhost");
    // Theirs to change, as under any runtime.
    assertThat(container.sh("echo 198.18.0.7 friend >> /etc/hosts; tail -1 /etc/hosts"))
        .isEqualTo("198.18.0.7 friend");
  }

  @Test
  void aRemovedPodsPortAndAddressAreFree() {
    Pod pod = pod();
    pod.sleeping();
    int ports = Links.portsOf(containerd.network().bridge()).size();
    String address = pod.address();
    pod.close();
    assertThat(Links.portsOf(containerd.network().bridge())).hasSize(ports - 1);
    assertThat(containerd.directory().resolve("cni/addresses"))
        .isDirectoryNotContaining("glob:**/" + address);
  }
}
