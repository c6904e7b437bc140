package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Proc;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * Names, clocks, kernel parameters and paths of namespaces, seen from inside; the host keeps its
 * own.
 */
@OneContainerd
@OnlyBrig
class NamespaceFieldsTest extends ClientTest {

  NamespaceFieldsTest(Containerd containerd) {
    super(containerd);
  }

  private static String host(String path) {
    try {
      return Files.readString(Path.of(path));
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  @Test
  void namesAndParametersAreTheContainersAlone() {
    List<String> files =
        List.of(
            "/proc/sys/kernel/hostname",
            "/proc/sys/kernel/domainname",
            "/proc/sys/kernel/shmmni",
            "/proc/sys/net/ipv4/ip_forward",
            "/proc/sys/fs/mqueue/msg_max");
    List<String> before = files.stream().map(NamespaceFieldsTest::host).toList();
    OciSpec spec =
        OciSpec.running(
            "sh", "-c", "hostname; dnsdomainname -y 2>/dev/null; cat " + String.join(" ", files));
    spec.hostname("inside").json().put("domainname", "example.net");
    spec.sysctl("kernel.shmmni", "1234").sysctl("net.ipv4.ip_forward", "1");
    spec.sysctl("fs.mqueue.msg_max", "77");
    Ran ran = run(spec);
    assertThat(ran.stdout()).startsWith("inside\n").endsWith("inside\nexample.net\n1234\n1\n77\n");
    assertThat(files.stream().map(NamespaceFieldsTest::host)).isEqualTo(before);
  }

  @Test
  void clocksAreOffByWhatIsAsked() {
    OciSpec spec = OciSpec.running("sleep", "600").newNamespace("time");
    var offsets = spec.linux().putObject("timeOffsets");
    offsets.putObject("boottime").put("secs", 1_000_000).put("nanosecs", 500_000_000);
    offsets.putObject("monotonic").put("secs", 2_000).put("nanosecs", 250_000_000);
    TestContainer container = container(spec);
    Proc init = container.start().proc();
    assertThat(init.sharesWithHost("time")).isFalse();
    assertThat(init.read("timens_offsets").lines().map(line -> line.strip().replaceAll(" +", " ")))
        .containsExactly("monotonic 2000 250000000", "boottime 1000000 500000000");
    double inside = Double.parseDouble(container.ask("cat", "/proc/uptime").split(" ")[0]);
    double outside = Double.parseDouble(host("/proc/uptime").split(" ")[0]);
    assertThat(inside - outside).isBetween(999_900.0, 1_000_001.0);
  }

  @Test
  void namespacesWithAPathAreJoined() {
    // Held open by a process of the host's, outside of every pod.
    try (Command.Running holder =
        Command.of("unshare", "--net", "--ipc", "--uts", "sleep", "600").start()) {
      Proc other = new Proc((int) holder.pid());
      Eventually.holds("it has its own", () -> !other.sharesWithHost("uts"));
      OciSpec spec = OciSpec.running("sleep", "600");
      for (String type : List.of("network", "ipc", "uts")) {
        String file = type.equals("network") ? "net" : type;
        spec.joinNamespace(type, "/proc/" + other.pid() + "/ns/" + file);
      }
      Proc init = container(spec).start().proc();
      for (String kind : List.of("net", "ipc", "uts")) {
        assertThat(init.namespace(kind)).as(kind).isEqualTo(other.namespace(kind));
      }
      for (String kind : List.of("mnt", "pid", "user")) {
        assertThat(init.namespace(kind)).as(kind).isNotEqualTo(other.namespace(kind));
      }
    }
  }

  @Test
  void aNetworkNamespaceOfTheHostsIsJoined() throws IOException {
    Path network = networkOfTheHosts();
    OciSpec spec = OciSpec.running("sleep", "600").joinNamespace("network", network.toString());
    Proc init = container(spec).start().proc();
    assertThat(init.namespace("net"))
        .isEqualTo("net:[" + Files.getAttribute(network, "unix:ino") + "]");
    assertThat(init.sharesWithHost("user")).isFalse();
  }

  @Test
  void hooksAreToldTheSpecificationsVersionAndAnnotations() throws IOException {
    Path directory = place("hook");
    Path script = directory.resolve("hook");
    Path told = directory.resolve("told");
    Files.writeString(
        script,
        "#!/bin/sh\n/bin/cat > " + told + ".new && /bin/mv " + told + ".new " + told + "\n");
    Files.setPosixFilePermissions(script, PosixFilePermissions.fromString("rwxr-xr-x"));
    OciSpec spec = OciSpec.running("sleep", "600").annotation("example.net/a.b", "\"quoted\"\n");
    spec.json().put("ociVersion", "1.1.0");
    spec.json()
        .putObject("hooks")
        .putArray("poststart")
        .addObject()
        .put("path", script.toString())
        .put("timeout", 30);
    TestContainer container = container(spec);
    TestProcess init = container.start();
    JsonNode state = new ObjectMapper().readTree(Files.readString(told));
    assertThat(state.path("ociVersion").asText()).isEqualTo("1.1.0");
    assertThat(state.path("annotations").path("example.net/a.b").asText())
        .isEqualTo("\"quoted\"\n");
    assertThat(state.path("pid").asInt()).isEqualTo(init.pid());
  }
}
