package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.faults.FaultMachine.Seen;
import brig.testing.faults.Inventory;
import brig.testing.faults.Rule;
import brig.testing.faults.Rule.Role;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * What the host refuses, at every place where it can: new work is refused in words or done all the
 * same, what runs doesn't feel it, and afterwards everything goes on with the daemon that was
 * there.
 */
@OneContainerd
@OnlyBrig
class HostFaultsTest extends FaultyContainerd {

  /** More system calls of a kind than a life makes. */
  private static final int MOST_CALLS = 2_000;

  private final TestContainer neighbour;
  private final TestProcess itsInit;
  private final int daemon;
  private final Map<String, List<String>> before;

  HostFaultsTest(Containerd shared) {
    super(shared);
    neighbour = sleeping();
    itsInit = neighbour.start();
    daemon = containerd.brig().pid().orElseThrow();
    before = Inventory.of(containerd);
  }

  /** A life with an exec in it; what it was refused with, if it was. */
  private Optional<String> life(TestContainer container) {
    try {
      TestProcess init = container.start();
      assertThat(exec(container, "echo", "inside").stdout()).isEqualTo("inside\n");
      init.signal(9);
      assertThat(init.await().status()).isEqualTo(137);
      assertThat(init.delete().status()).isEqualTo(137);
      return Optional.empty();
    } catch (StatusRuntimeException e) {
      return Optional.of(String.valueOf(e.getStatus().getDescription()));
    }
  }

  /** The same under a rule, and what the rule met. */
  private Met lifeUnder(Rule rule) {
    try (TestContainer container = client.container(OciSpec.running("sleep", "600"))) {
      machine.arm(rule);
      Optional<String> refusal;
      Seen seen;
      try {
        refusal = life(container);
      } finally {
        seen = machine.disarm();
      }
      return new Met(seen, refusal);
    }
  }

  private record Met(Seen seen, Optional<String> refusal) {}

  private void nobodyFeltIt(String fault) {
    assertThat(itsInit.state().getPid()).as("pid after %s", fault).isEqualTo(itsInit.pid());
    assertThat(exec(neighbour, "echo", "unharmed").stdout()).as(fault).isEqualTo("unharmed\n");
    try (TestContainer next = client.container(OciSpec.running("sleep", "600"))) {
      assertThat(life(next)).as("the next life after %s", fault).isEmpty();
    }
    assertThat(Inventory.leftBehind(containerd, before)).as("left after %s", fault).isEmpty();
    assertThat(containerd.brig().pid()).as("brigd after %s", fault).hasValue(daemon);
  }

  /** The same life again and again, in which one call after the other is the first to fail. */
  private void eachInTurn(Rule rule, String cause) {
    for (int call = 1; call <= MOST_CALLS; call++) {
      Met met = lifeUnder(rule.from(call));
      String fault = call + ": " + met;
      met.refusal().ifPresent(words -> assertThat(words).as(fault).containsIgnoringCase(cause));
      nobodyFeltIt(fault);
      if (met.seen().met() == 0) {
        assertThat(call).as("calls of a life that need it").isGreaterThan(10);
        return;
      }
    }
    throw new AssertionError("a life has no end of such calls");
  }

  @Test
  void eachWriteMayFindNoRoom() {
    eachInTurn(Rule.noRoom(containerd.directory()).once(), "no space left on device");
  }

  @Test
  void fromEachWriteOnThereMayBeNoRoom() {
    eachInTurn(Rule.noRoom(containerd.directory()), "no space left on device");
  }

  @Test
  void fromEachWriteOnTheFileSystemMayBeReadOnly() {
    eachInTurn(Rule.readOnly(containerd.directory()), "read-only file system");
  }

  @Test
  void aDiskThatAnswersLateCostsTimeAndNothingElse() {
    Path everything = containerd.directory();
    Duration late = Duration.ofMillis(100);
    Met met = lifeUnder(Rule.slow(Rule.Kind.SPACE, everything, late));
    assertThat(met.refusal()).isEmpty();
    assertThat(met.seen().met()).as("calls that took long").isGreaterThan(10);
    nobodyFeltIt("slow writes: " + met);
    // State lies in memory and is not synced, so no life waits for a disk at all.
    assertThat(lifeUnder(Rule.slow(Rule.Kind.SYNC, everything, Duration.ofSeconds(1))))
        .isEqualTo(new Met(new Seen(0, 0, ""), Optional.empty()));
  }

  @ParameterizedTest
  @EnumSource(names = {"LAUNCHER", "BRIGD"})
  void eachDescriptorMayBeOneTooMany(Role role) {
    Rule rule = Rule.noDescriptor(role).once();
    int refused = 0;
    long calls = MOST_CALLS;
    // One after the other, with a step so that a run has some twenty.
    long step = Math.max(1, lifeUnder(rule.from(Long.MAX_VALUE)).seen().calls() / 20);
    for (long call = 1; call <= calls; call += step) {
      Met met = lifeUnder(rule.from(call));
      calls = Math.min(calls, met.seen().calls());
      refused += met.refusal().isPresent() ? 1 : 0;
      nobodyFeltIt(role + " " + call + ": " + met);
    }
    assertThat(refused).as("lives refused").isPositive();
  }

  @Test
  void noMoreProcessesRefusesNewOnesAndNothingElse() {
    for (Role role : List.of(Role.LAUNCHER, Role.KEEPER)) {
      Met met = lifeUnder(Rule.noProcess(role));
      assertThat(met.refusal()).as("%s", role).isPresent();
      assertThat(met.refusal().orElseThrow())
          .as("%s", role)
          .containsIgnoringCase("resource temporarily unavailable");
      nobodyFeltIt(met.toString());
    }
  }

  @Test
  void anExecThatFindsNoProcessIsToldWhatWouldHelp() {
    machine.arm(Rule.noProcess(Role.KEEPER));
    try {
      assertThat(Refusals.words(() -> exec(neighbour, "true")))
          .startsWith("fork a stage: ")
          .contains("esource temporarily unavailable", "raise the limit of processes");
      assertThat(itsInit.state().getPid()).isEqualTo(itsInit.pid());
    } finally {
      machine.disarm();
    }
    nobodyFeltIt("no process for an exec");
  }

  @Test
  void aKeeperWithoutDescriptorsServesAgainOnceThereAreSome() {
    int keeper = Processes.parent(itsInit.pid());
    int open = itsInit.proc().descriptors().size();
    limitDescriptors(keeper, new Proc(keeper).descriptors().size());
    try {
      assertThat(Refusals.words(() -> exec(neighbour, "true"))).contains("oo many open files");
      assertThat(itsInit.state().getPid()).isEqualTo(itsInit.pid());
    } finally {
      limitDescriptors(keeper, 1024);
    }
    assertThat(itsInit.proc().descriptors()).hasSize(open);
    nobodyFeltIt("a keeper without descriptors");
  }

  @Test
  void aDaemonWithoutDescriptorsServesAgainOnceThereAreSome() {
    limitDescriptors(daemon, new Proc(daemon).descriptors().size());
    TestContainer next = client.container(OciSpec.running("sleep", "600"));
    try {
      // Either its keeper waits for the daemon, or the daemon says what it could not open.
      var lived = CompletableFuture.supplyAsync(() -> life(next));
      assertThat(exec(neighbour, "echo", "served").stdout()).isEqualTo("served\n");
      limitDescriptors(daemon, 1024);
      lived
          .join()
          .ifPresent(refusal -> assertThat(refusal).contains("oo many open files", "raise "));
    } finally {
      limitDescriptors(daemon, 1024);
    }
    next.close();
    nobodyFeltIt("a daemon without descriptors");
  }

  @Test
  void aDaemonKilledForWantOfMemoryIsOneThatWasKilled() throws IOException {
    Path group = CgroupsV1.mountPoint("memory").resolve(Names.fresh("starved"));
    Files.createDirectory(group);
    try {
      Files.writeString(group.resolve("memory.limit_in_bytes"), "4M");
      // What it has already isn't counted there; what it takes from now on is.
      Files.writeString(group.resolve("cgroup.procs"), Integer.toString(daemon));
      for (int i = 0; i < 100 && Processes.alive(daemon); i++) {
        try (TestContainer next = client.container(OciSpec.running("sleep", "600"))) {
          assertThat(life(next)).isEmpty();
        }
      }
      assertThat(Processes.alive(daemon)).as("the starved daemon").isFalse();
      assertThat(itsInit.state().getPid()).isEqualTo(itsInit.pid());
      assertThat(exec(neighbour, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
      assertThat(Inventory.leftBehind(containerd, before)).isEmpty();
    } finally {
      Eventually.within(
          Duration.ofSeconds(10),
          () -> {
            try {
              return Files.readString(group.resolve("cgroup.procs")).isEmpty();
            } catch (IOException e) {
              throw new UncheckedIOException(e);
            }
          });
      Files.delete(group);
    }
  }

  private static void limitDescriptors(int pid, int number) {
    Command.of("prlimit", "--pid", Integer.toString(pid), "--nofile=" + number + ":")
        .run()
        .orFail();
  }
}
