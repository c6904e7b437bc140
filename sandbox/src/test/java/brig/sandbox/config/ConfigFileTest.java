package brig.sandbox.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.Api;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.SandboxConfig.Unmappable;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

final class ConfigFileTest {
  private static void refused(String text, String where, String what) {
    assertThatThrownBy(() -> ConfigFile.parse(text, "brig.toml"))
        .isInstanceOf(BrigException.class)
        .hasMessageContaining("brig.toml" + where)
        .hasMessageContaining(what);
  }

  @Test
  void anEmptyFileIsTheDefault() throws BrigException {
    assertThat(ConfigFile.parse("", "brig.toml")).isEqualTo(SandboxConfig.DEFAULT);
  }

  @Test
  void theFileThatIsShippedSaysTheDefaultsInItsComments() throws BrigException, IOException {
    String shipped = Files.readString(Path.of("..", "deploy", "brig.toml"));
    SandboxConfig asIs = ConfigFile.parse(shipped, "brig.toml");
    SandboxConfig uncommented =
        ConfigFile.parse(shipped.replaceAll("(?m)^#(?=[a-z_]+ = )", ""), "brig.toml");
    assertThat(uncommented.with(asIs.metrics())).isEqualTo(asIs);
    assertThat(uncommented.metrics().socket()).contains(asIs.paths().run() + "/metrics.sock");
    assertThat(asIs.paths()).isEqualTo(SandboxConfig.DEFAULT.paths());
    assertThat(asIs.ids()).isEqualTo(SandboxConfig.DEFAULT.ids());
    assertThat(asIs.classConfig("brig")).isEqualTo(SandboxConfig.ClassConfig.DEFAULT);
  }

  @Test
  void everyKeyIsRead() throws BrigException {
    SandboxConfig config =
        ConfigFile.parse(
            """
            [paths]
            run = "/opt/run/"
            var = "/opt/var"
            floor = "/opt/floor"
            sockets = "/opt/s"
            [ids]
            pool_start = 1000000
            pool_size = 900_000
            ids_per_pod = 1000
            extra_ids = [65534, 1000650000]
            allow_host_ids = true
            [cgroups]
            parent = "/machine"
            [metrics]
            socket = "/opt/m.sock"
            listen = "127.0.0.1:9733"
            [class.brig]
            unmappable = "copy"
            new_privileges = "asked"
            [class.brig-vm]
            api = "grpc"
            grpc_accept_loss = true
            """,
            "brig.toml");
    assertThat(config.paths())
        .isEqualTo(new SandboxConfig.Paths("/opt/run", "/opt/var", "/opt/floor"));
    assertThat(config.ids().perPod()).isEqualTo(1002);
    assertThat(config.ids().extraIds()).containsExactlyInAnyOrder(65534L, 1000650000L);
    assertThat(config.ids().allowHostIds()).isTrue();
    assertThat(config.cgroupParent()).isEqualTo("/machine");
    assertThat(config.metrics().socket()).contains("/opt/m.sock");
    assertThat(config.metrics().listen()).contains(new InetSocketAddress("127.0.0.1", 9733));
    assertThat(config.classConfig("brig").unmappable()).isEqualTo(Unmappable.COPY);
    assertThat(config.classConfig("brig").newPrivileges()).isEqualTo(NewPrivileges.ASKED);
    assertThat(config.classConfig("brig-vm").api()).isEqualTo(Api.GRPC);
    assertThat(config.classConfig("other")).isEqualTo(SandboxConfig.ClassConfig.DEFAULT);
  }

  @Test
  void anUnknownKeyIsRefusedWithTheNearestKnownOne() {
    refused("[ids]\npol_start = 1", ":2:1", "unknown key ids.pol_start; did you mean pool_start?");
    refused("[idz]\n", ":1:1", "did you mean ids?");
    refused("[class.brig]\nunmapable = \"copy\"", ":2:1", "did you mean unmappable?");
    refused("[paths]\nfrobnicate = 1", ":2:1", "known: [run, var");
  }

  @Test
  void wrongValuesAreRefusedWhereTheyStand() {
    refused("[class.brig]\n\n  unmappable = \"maybe\"", ":3:3", "not one of \"refuse\", \"copy\"");
    refused("[ids]\nids_per_pod = \"many\"", ":2:1", "is not a whole number");
    refused("[ids]\npool_start = 5", ":2:1", "within 65536 to");
    refused("[ids]\nextra_ids = [1]", ":2:1", "every pod has");
    refused("[ids]\nids_per_pod = 4000000000", ":2:1", "more than the pool has");
    refused("[paths]\nrun = \"here\"", ":2:1", "is not an absolute path");
    refused("ids = 3", ":1:1", "is not a table");
    refused("[class.brig]\napi = \"grpc\"", ":2:1", "grpc_accept_loss");
    refused("[ids\n", ":", "is not TOML");
  }

  @Test
  void metricsAreServedOnTheLoopbackDeviceAlone() throws BrigException {
    assertThat(ConfigFile.parse("[metrics]\nlisten = \"[::1]:1\"", "brig.toml").metrics().listen())
        .contains(new InetSocketAddress("::1", 1));
    for (String address :
        List.of(
            "0.0.0.0:9733",
            "[::]:1",
            "localhost:1",
            "127.0.0.1",
            "127.0.0.1:0",
            ":1",
            "127.0.0.1:65536")) {
      refused("[metrics]\nlisten = \"" + address + "\"", ":2:1", "is not 127.x.x.x:PORT");
    }
    refused("[metrics]\nlisten = \"127.0.0.300:1\"", ":2:1", "is no address");
    refused("[metrics]\nlisten = 9733", ":2:1", "is not 127.x.x.x:PORT");
    refused("[metrics]\nsocket = \"m\"", ":2:1", "is not an absolute path");
  }
}
