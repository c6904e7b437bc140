package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Processes;
import brig.testing.proto.task.Status;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.time.Duration;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Test;

/** A minute in which no brigd can be started, and containerd is started again. */
@OneContainerd
@OnlyBrig
class DaemonAbsenceTest extends OwnContainerd {

  private static final Duration ABSENCE = Duration.ofSeconds(60);

  DaemonAbsenceTest(Containerd shared) {
    super(shared);
  }

  @Test
  void everyPodLivesAndEveryExitIsKeptForAMinuteWithoutADaemon() {
    TestContainer ending = container("sh", "-c", "read x; echo last words; exit 31");
    Stdio stdio = Stdio.interactive();
    TestProcess ends = ending.start(stdio);
    TestContainer killed = sleeping();
    TestProcess sleeper = killed.start();
    TestContainer staying = sleeping();
    TestProcess stays = staying.start();
    int brigd = containerd.brig().pid().orElseThrow();

    Runnable mend = containerd.brig().spoilConfiguration();
    long begin = System.nanoTime();
    Processes.signal(brigd, Signal.SIGKILL);
    Eventually.holds("a daemon has failed to start", () -> failedStarts() > 0);
    containerd.stop();
    type(stdio);
    Eventually.holds("it has ended", () -> !Processes.alive(ends.pid()));
    containerd.startAgain();

    assertThat(ends.await().status()).isEqualTo(31);
    assertThat(ending.status()).isEqualTo(Status.STOPPED);
    assertThat(stdio.stdout()).isEqualTo("last words\n");
    Processes.signal(sleeper.pid(), Signal.SIGKILL);
    assertThat(sleeper.await().status()).isEqualTo(137);
    assertThat(killed.status()).isEqualTo(Status.STOPPED);
    assertThat(
            Eventually.within(
                ABSENCE.multipliedBy(2),
                () -> System.nanoTime() - begin > ABSENCE.toNanos() && failedStarts() > 3))
        .as("daemons that failed to start")
        .isTrue();
    assertThat(staying.status()).isEqualTo(Status.RUNNING);
    assertThat(staying.pids()).anyMatch(process -> process.getPid() == stays.pid());

    mend.run();
    assertThat(exec(staying, "echo", "served again").stdout()).isEqualTo("served again\n");
    assertThat(ends.delete().status()).isEqualTo(31);
    assertThat(sleeper.delete().status()).isEqualTo(137);
    assertThat(Processes.alive(stays.pid())).isTrue();
  }

  private long failedStarts() {
    return containerd
        .brig()
        .log()
        .lines()
        .filter(line -> line.matches("supervisor: brigd .* ended with status 1"))
        .count();
  }

  private static void type(Stdio stdio) {
    try (RandomAccessFile stdin = stdio.openStdin()) {
      stdin.write('\n');
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
