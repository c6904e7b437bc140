package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.spec.OciSpec;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** AppArmor's profiles: the label is the kernel's word, the refusals are what it does. */
@OnMachine
class AppArmorTest extends MachineTest {
  private static final String NAME = "brig-it";

  AppArmorTest(Machine machine) {
    super(machine);
  }

  @BeforeEach
  void loadProfile() {
    machine.read(
        """
        apparmor_parser --replace <<'PROFILE'
        profile %s flags=(attach_disconnected, mediate_deleted) {
          file,
          capability,
          network,
          signal,
          deny /tmp/forbidden w,
        }
        PROFILE
        """
            .formatted(NAME));
  }

  @AfterEach
  void unloadProfile() {
    machine.read("echo 'profile %s {}' | apparmor_parser --remove".formatted(NAME));
  }

  private static OciSpec confined(String profile) {
    OciSpec spec = OciSpec.running("sleep", "600");
    spec.process().put("apparmorProfile", profile);
    return spec;
  }

  private String label(TestProcess process) {
    return machine.read("cat /proc/" + process.pid() + "/attr/current");
  }

  @Test
  void aProfileConfinesInitAndEachExec() {
    TestContainer container = container(confined(NAME));
    assertThat(label(start(container))).isEqualTo(NAME + " (enforce)");
    assertThat(exec(container, "sh", "-c", "echo > /tmp/permitted").status()).isZero();
    assertThat(exec(container, "sh", "-c", "echo > /tmp/forbidden").status()).isNotZero();
    TestProcess exec =
        container
            .exec(machine.freshId(), OciSpec.running("sleep", "500").process(), Stdio.none())
            .start();
    assertThat(label(exec)).as("of a process that names none").isEqualTo(NAME + " (enforce)");
    exec.kill(9, false);
    exec.await();
  }

  @Test
  void withoutAProfileAProcessIsUnconfined() {
    assertThat(label(start(container(OciSpec.running("sleep", "600"))))).isEqualTo("unconfined");
    assertThat(label(start(container(confined("unconfined"))))).isEqualTo("unconfined");
  }

  @Test
  void aProfileThatIsNotLoadedIsRefusedByName() {
    assertThat(Refusals.words(() -> start(container(confined("no-such-profile")))))
        .contains("no-such-profile");
  }
}
