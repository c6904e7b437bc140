package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Events;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Processes;
import brig.testing.proto.task.Status;
import io.grpc.StatusRuntimeException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Test;

/** brigd may die at any moment: nothing is lost, nothing is done twice. */
@EachContainerd
@OnlyBrig
class DaemonLossTest extends OwnContainerd {

  DaemonLossTest(Containerd shared) {
    super(shared);
  }

  private int daemon() {
    return containerd
        .brig()
        .pid()
        .orElseThrow(() -> new AssertionError("brigd doesn't run: " + containerd.brig().log()));
  }

  private int killDaemon() {
    int pid = daemon();
    Processes.signal(pid, Signal.SIGKILL);
    Eventually.holds("brigd is dead", () -> !Processes.alive(pid));
    return pid;
  }

  @Test
  void aKilledDaemonTakesNoContainerAlongAndComesBack() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    int before = killDaemon();
    assertThat(Processes.alive(init.pid())).isTrue();
    assertThat(exec(container, "echo", "served again").stdout()).isEqualTo("served again\n");
    assertThat(daemon()).isNotEqualTo(before);
  }

  @Test
  void aDaemonStartedAgainSeesEveryPodsNamespacesAsTheFirstDid() {
    List<TestContainer> pods = List.of(sleeping(), sleeping());
    List<TestProcess> inits = pods.stream().map(TestContainer::start).toList();
    int supervisor = Processes.parent(daemon());
    killDaemon();
    for (int i = 0; i < pods.size(); i++) {
      exec(pods.get(i), "true");
      String explained =
          containerd.brig().command("explain", pods.get(i).id()).run().orFail().stdout();
      // A daemon born of a pod's keeper may not look into the other pod.
      assertThat(explained).contains("own: ipc, mount, network, pid, user, uts");
    }
    assertThat(Processes.parent(daemon())).isEqualTo(supervisor);
    assertThat(inits.stream().map(TestProcess::pid).map(Processes::parent))
        .doesNotContain(supervisor);
  }

  @Test
  void aKilledSupervisorTakesNothingAlong() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    int first = daemon();
    Processes.signal(Processes.parent(first), Signal.SIGKILL);
    assertThat(exec(container, "echo", "served").stdout()).isEqualTo("served\n");
    assertThat(daemon()).isEqualTo(first);
    killDaemon();
    assertThat(exec(container, "echo", "served again").stdout()).isEqualTo("served again\n");
    assertThat(Processes.alive(init.pid())).isTrue();
  }

  @Test
  void aKilledDaemonLosesNoExitCode() {
    TestContainer first = container("sh", "-c", "read x; exit 31");
    TestContainer other = sleeping();
    Stdio stdio = Stdio.interactive();
    TestProcess init = first.start(stdio);
    TestProcess sleeper = other.start();
    var wait = init.exitAhead();
    var otherWait = sleeper.exitAhead();
    killDaemon();
    try (var stdin = stdio.openStdin()) {
      stdin.write('\n');
    } catch (java.io.IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    Processes.signal(sleeper.pid(), Signal.SIGKILL);
    assertThat(TestProcess.await(wait).status()).isEqualTo(31);
    assertThat(TestProcess.await(otherWait).status()).isEqualTo(137);
    assertThat(init.delete().status()).isEqualTo(31);
    assertThat(sleeper.delete().status()).isEqualTo(137);
  }

  @Test
  void stateIsAnsweredWhileNoDaemonDoes() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    int pid = daemon();
    // Stopped, not dead: it keeps its connections and answers nothing.
    Processes.signal(pid, Signal.SIGSTOP);
    try {
      long before = System.nanoTime();
      assertThat(container.status()).isEqualTo(Status.RUNNING);
      assertThat(init.state().getPid()).isEqualTo(init.pid());
      assertThat(container.pids()).anyMatch(process -> process.getPid() == init.pid());
      // containerd gives State two seconds.
      assertThat(TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - before)).isLessThan(6_000);
      Processes.signal(init.pid(), Signal.SIGKILL);
      assertThat(init.await().status()).isEqualTo(137);
    } finally {
      Processes.signal(pid, Signal.SIGCONT);
    }
    assertThat(init.delete().status()).isEqualTo(137);
  }

  @Test
  void anExecWhoseContainerEndsWhileItStartsIsRefusedAndStaysCreated() throws Exception {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    TestProcess exec = container.exec("e", container.spec().execProcess("true"), Stdio.none());
    int pid = daemon();
    Processes.signal(pid, Signal.SIGSTOP);
    CompletableFuture<TestProcess> start = CompletableFuture.supplyAsync(exec::start);
    try {
      Processes.signal(init.pid(), Signal.SIGKILL);
      assertThat(init.await().status()).isEqualTo(137);
    } finally {
      Processes.signal(pid, Signal.SIGCONT);
    }
    assertThat(start.handle((started, refusal) -> refusal).get(90, TimeUnit.SECONDS))
        .hasCauseInstanceOf(StatusRuntimeException.class);
    assertThat(exec.status()).isEqualTo(Status.CREATED);
    assertThat(container.status()).isEqualTo(Status.STOPPED);
    // Whoever waits for it hears of an end.
    exec.await();
    exec.delete();
  }

  @Test
  void containerdsRestartIsSurvivedWithoutADaemon() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    containerd.stop();
    int pid = daemon();
    Processes.signal(pid, Signal.SIGSTOP);
    try {
      containerd.startAgain();
      assertThat(container.status()).isEqualTo(Status.RUNNING);
      assertThat(Processes.alive(init.pid())).isTrue();
    } finally {
      Processes.signal(pid, Signal.SIGCONT);
    }
    assertThat(exec(container, "echo", "served").stdout()).isEqualTo("served\n");
  }

  @Test
  void createsUnderWayEndOnceWhateverBecomesOfTheDaemon() throws Exception {
    Events events = keep(client.events());
    for (int round = 0; round < 6; round++) {
      TestContainer container = container("sh", "-c", "echo ran; exit 17");
      Stdio stdio = Stdio.captured();
      // A daemon to kill, which the first round's create may not have started yet.
      exec(sleepingOnce(), "true");
      int pid = daemon();
      var running = java.util.concurrent.CompletableFuture.supplyAsync(() -> container.run(stdio));
      int delay = round;
      Eventually.within(java.time.Duration.ofMillis(10L * delay), () -> false);
      Processes.signal(pid, Signal.SIGKILL);
      assertThat(running.get(90, TimeUnit.SECONDS).status()).isEqualTo(17);
      assertThat(stdio.stdout()).isEqualTo("ran\n");
      container.delete();
      List<String> told =
          events.until(container.id(), "/tasks/delete").stream().map(Object::toString).toList();
      assertThat(told)
          .containsExactly("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
    }
  }

  private java.util.Optional<TestContainer> companion = java.util.Optional.empty();

  private TestContainer sleepingOnce() {
    if (companion.isEmpty()) {
      companion = java.util.Optional.of(sleeping());
      companion.get().start();
    }
    return companion.get();
  }

  @Test
  void manyContainersFindTheNewDaemon() {
    List<TestProcess> inits = new ArrayList<>();
    for (int i = 0; i < 10; i++) {
      inits.add(sleeping().start());
    }
    killDaemon();
    for (TestProcess init : inits) {
      assertThat(init.status()).isEqualTo(Status.RUNNING);
    }
    for (TestProcess init : inits) {
      init.signal(9);
      assertThat(init.await().status()).isEqualTo(137);
    }
  }

  @Test
  void idsOfALivePodAreNotGivenOutByTheNextDaemon() {
    TestContainer first = sleeping();
    var range = first.start().proc().uidMap();
    killDaemon();
    TestContainer second = sleeping();
    var next = second.start().proc().uidMap();
    assertThat(next).noneMatch(line -> range.stream().anyMatch(line::overlaps));
  }
}
