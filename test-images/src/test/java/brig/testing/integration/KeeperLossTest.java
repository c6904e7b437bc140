package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Events;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import brig.testing.proto.events.TaskExit;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Test;

/** A keeper that is killed takes its pod along, and leaves the host clean. */
@EachContainerd
@OnlyBrig
class KeeperLossTest extends ClientTest {

  KeeperLossTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void thePodEndsWithItAndIsToldWith137() {
    Events events = keep(client.events());
    TestContainer container = container("sh", "-c", "sleep 600 & sleep 600");
    TestProcess init = container.start();
    Eventually.holds("both children run", () -> container.pids().size() >= 2);
    var group = CgroupsV1.of(init.pid()).directory("memory");
    int keeper = Processes.parent(init.pid());
    var pids = container.pids();
    Processes.signal(keeper, Signal.SIGKILL);
    TaskExit exit =
        (TaskExit)
            events.until(container.id(), "/tasks/exit").stream()
                .filter(event -> event.topic().equals("/tasks/exit"))
                .findFirst()
                .orElseThrow()
                .message();
    assertThat(exit.getExitStatus()).isEqualTo(137);
    for (var process : pids) {
      Eventually.holds("no process is left", () -> !Processes.alive(process.getPid()));
    }
    Eventually.holds("no task is left", () -> !container.hasTask());
    Eventually.holds("the bundle is gone", () -> !container.bundle().toFile().exists());
    Eventually.holds("the cgroup is gone", () -> !group.toFile().exists());
    Eventually.holds(
        "the reason is in containerd's log",
        () -> containerd.log().contains("its keeper (process " + keeper + ") is dead"));
    assertThat(Mounts.beneath(containerd.state()))
        .noneMatch(mount -> mount.point().contains(container.id()));
  }

  @Test
  void theHooksOfTheEndRunAllTheSame() throws IOException {
    Path seen = place("hooks").resolve("state");
    // Moved into place whole, so that who sees it sees all of it.
    String script = "cat > " + seen + ".new; mv " + seen + ".new " + seen;
    TestContainer container =
        container(OciSpec.running("sleep", "600").hook("poststop", "/bin/sh", "-c", script));
    TestProcess init = container.start();
    Processes.signal(Processes.parent(init.pid()), Signal.SIGKILL);
    Eventually.holds("the hook has run", () -> Files.exists(seen));
    assertThat(Files.readString(seen))
        .contains("\"id\":\"" + container.id() + "\"")
        .contains("\"status\":\"stopped\"");
  }

  @Test
  void itsNeighboursGoOnAndTheIdIsFree() {
    TestContainer neighbour = sleeping();
    TestProcess other = neighbour.start();
    TestContainer container = sleeping();
    TestProcess init = container.start();
    Processes.signal(Processes.parent(init.pid()), Signal.SIGKILL);
    Eventually.holds("no task is left", () -> !container.hasTask());
    assertThat(Processes.alive(other.pid())).isTrue();
    assertThat(exec(neighbour, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
    TestProcess again = container.start();
    assertThat(Processes.alive(again.pid())).isTrue();
  }
}
