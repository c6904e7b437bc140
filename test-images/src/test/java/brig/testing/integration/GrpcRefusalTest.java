package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Names;
import org.junit.jupiter.api.Test;

/** A class that asks for gRPC, with each containerd: served, or refused with what to do. */
@EachContainerd
@OnlyBrig
class GrpcRefusalTest extends OwnContainerd {

  GrpcRefusalTest(Containerd shared) {
    super(shared, GrpcTest.CLASS);
  }

  @Test
  void aContainerdThatCantUseAGrpcShimIsToldToUseTtrpc() {
    Command.Result result =
        containerd.ctr().run(Names.fresh("c")).foreground("echo", "served").run();
    ContainerdVersion version = containerd.version();
    if (version == ContainerdVersion.V1_7) {
      assertThat(result.orFail().stdout()).isEqualTo("served\n");
    } else {
      assertThat(result.exitCode()).isNotZero();
      assertThat(result.stderr())
          .contains("serve gRPC: containerd " + version)
          .contains("set api = \"ttrpc\" in [class.brig] of brig.toml");
    }
    // Nothing was started that would have to be stopped.
    assertThat(containerd.ctr().command("tasks", "ls", "-q").run().orFail().stdout()).isBlank();
  }
}
