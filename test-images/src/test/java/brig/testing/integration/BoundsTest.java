package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Fifo;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import brig.testing.proto.tasks.WaitResponse;
import brig.testing.shim.ShimSocket;
import com.google.common.util.concurrent.ListenableFuture;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Whatever clients do or leave undone: what Brig holds for them has a bound. */
@OneContainerd
@OnlyBrig
class BoundsTest extends OwnContainerd {

  private final TestContainer container;
  private final TestProcess init;
  private final int keeper;

  BoundsTest(Containerd shared) {
    super(shared);
    container = sleeping();
    init = container.start(Stdio.none());
    keeper = Processes.parent(init.pid());
    exec(container, "true");
  }

  /** Private memory in kB, which is what a process itself has taken. */
  private static long memory(int pid) {
    return new Proc(pid)
        .read("smaps_rollup")
        .lines()
        .filter(line -> line.startsWith("Private_Dirty:") || line.startsWith("Swap:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")))
        .sum();
  }

  private int daemon() {
    return containerd.brig().pid().orElseThrow();
  }

  /** No more than so many kB above what it was, once it has had time to give back. */
  private static void staysWithin(String what, int pid, long before, long kilobytes) {
    Eventually.holds(
        what + " takes at most " + kilobytes + " kB more than " + before,
        () -> memory(pid) <= before + kilobytes,
        () -> memory(pid));
  }

  @Test
  void outputThatNobodyReadsStopsItsWriterAndTakesNoMemory() throws IOException {
    Path directory = Files.createTempDirectory(containerd.directory(), "unread");
    Path fifo = Fifo.make(directory.resolve("stdout"));
    long before = memory(keeper);
    long daemonBefore = memory(daemon());
    TestProcess writer =
        container.exec(
            "writes",
            container.spec().execProcess("brig-probe", "fill", Long.toString(1L << 30)),
            Stdio.of("", fifo.toString(), ""));
    writer.start();
    Eventually.holds(
        "the writer waits for its reader",
        () -> writer.proc().read("wchan").contains("pipe_w"),
        () -> writer.proc().read("wchan"));
    staysWithin("keeper", keeper, before, 128);
    staysWithin("brigd", daemon(), daemonBefore, 8 * 1024);
    writer.signal(9);
    assertThat(writer.await().status()).isEqualTo(137);
    writer.delete();
    // Its reader may still come within ten seconds; then what it held is counted as lost.
    Eventually.holds("the loss is shown", () -> ps().contains("the rest of 1 outputs"), this::ps);
  }

  private String ps() {
    return containerd.brig().command("ps").run().orFail().stdout();
  }

  @Test
  void aThousandWaitsTakeLittleAndAreAllAnswered() {
    long before = memory(keeper);
    long daemonBefore = memory(daemon());
    List<ListenableFuture<WaitResponse>> waits = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      waits.add(init.exitAhead());
    }
    // Calls on one connection are taken in order.
    assertThat(init.state().getPid()).isEqualTo(init.pid());
    staysWithin("keeper", keeper, before, 1024);
    staysWithin("brigd", daemon(), daemonBefore, 8 * 1024);
    init.signal(9);
    for (ListenableFuture<WaitResponse> wait : waits) {
      assertThat(TestProcess.await(wait).status()).isEqualTo(137);
    }
  }

  @Test
  void execsThatHaveEndedTakeNothing() {
    int daemon = daemon();
    // What the keeper keeps for reuse has its full size after some 300.
    for (int i = 0; i < 300; i++) {
      runInside("warm" + i);
    }
    long before = memory(keeper);
    long daemonBefore = memory(daemon);
    int descriptors = new Proc(keeper).descriptors().size();
    for (int i = 0; i < 400; i++) {
      runInside("e" + i);
    }
    staysWithin("keeper", keeper, before, 64);
    staysWithin("brigd", daemon, daemonBefore, 16 * 1024);
    assertThat(new Proc(keeper).descriptors()).hasSizeLessThanOrEqualTo(descriptors);
    assertThat(daemon()).isEqualTo(daemon);
  }

  private void runInside(String id) {
    TestProcess process =
        container.exec(id, container.spec().execProcess("true"), Stdio.none()).start();
    Exit exit = process.await();
    assertThat(exit.status()).isZero();
    process.delete();
  }

  @Test
  void tenThousandRequestsOnOneConnectionAreAnsweredOrRefusedOneByOne() throws IOException {
    long before = memory(keeper);
    long daemonBefore = memory(daemon());
    try (ShimSocket socket = ShimSocket.connect(container.bundle())) {
      // Waits stay: nothing of this container ends.
      List<Integer> codes = socket.flood("Wait", container.id(), 10_000, 10_000 - 2_048);
      // RESOURCE_EXHAUSTED.
      assertThat(codes).hasSize(10_000 - 2_048).containsOnly(8);
      staysWithin("keeper", keeper, before, 2 * 1024);
      staysWithin("brigd", daemon(), daemonBefore, 8 * 1024);
    }
    staysWithin("keeper afterwards", keeper, before, 128);
    assertThat(exec(container, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
  }

  @Test
  void eventsOfATimeWithoutContainerdAreBoundedAndWhatIsLostIsShown() {
    long before = memory(keeper);
    try (ShimSocket socket = ShimSocket.connect(container.bundle())) {
      containerd.kill();
      // Two events each; the queue takes 2,048.
      for (int i = 0; i < 1_200; i++) {
        socket.pauseAndResume(container.id());
      }
      staysWithin("keeper", keeper, before, 1024);
      Eventually.holds("the loss is shown", () -> ps().contains("dropped 352 events"), this::ps);
    } finally {
      containerd.startAgain();
    }
    assertThat(exec(container, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
  }
}
