package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Ctr;
import brig.testing.Images;
import brig.testing.Names;
import java.io.IOException;
import org.junit.jupiter.api.Test;

/** What an operator may choose for programs that gain privileges by their set-user-id bit. */
@OneContainerd
@OnlyBrig
class NewPrivilegesTest extends OwnContainerd {

  NewPrivilegesTest(Containerd shared) throws IOException {
    super(shared, "[class.brig]\nnew_privileges = \"asked\"\n");
  }

  private Ctr.Run debian() {
    containerd.load(Containerd.NAMESPACE, "debian");
    return containerd.ctr().run(Names.fresh("sudo")).image(Images.of("debian"));
  }

  private static Command sudo(Ctr.Run run) {
    // As a user, without any capability of its own.
    return run.foreground(
        "setpriv",
        "--reuid=1000",
        "--regid=1000",
        "--init-groups",
        "sudo",
        "grep",
        "-E",
        "^(Uid|CapEff|NoNewPrivs|Seccomp):",
        "/proc/self/status");
  }

  @Test
  void sudoWorksWhereTheSpecAsksAndGainsNothingBeyondTheContainer() {
    containerd.brig().lowerFloor("require no-new-privileges");
    assertThat(sudo(debian().flags("--allow-new-privs")).run().orFail().stdout())
        .matches(
            "Uid:\\s+0\\s+0\\s+0\\s+0\nCapEff:\\s+00000000a80425fb\nNoNewPrivs:\\s+0\nSeccomp:\\s+2\n");
    assertThat(sudo(debian()).run().stderr()).contains("no new privileges");
  }

  @Test
  void aFloorThatForbidsItStands() {
    assertThat(
            containerd
                .ctr()
                .run(Names.fresh("floor"))
                .flags("--allow-new-privs")
                .foreground("true")
                .run()
                .stderr())
        .contains("check floor", "no-new-privileges");
  }
}
