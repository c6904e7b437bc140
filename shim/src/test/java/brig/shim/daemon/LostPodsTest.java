package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.Hello;
import brig.proto.keeper.PodRecord;
import brig.sandbox.SandboxConfig;
import brig.sandbox.ids.IdRanges;
import brig.shim.log.Log;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class LostPodsTest {
  private static final String INSTANCE = "00112233445566778899aabbccddeeff";

  @TempDir Path run;

  private final long[] now = {Long.MAX_VALUE - 1};
  private final Log log = Log.to(new ByteArrayOutputStream(), Clock.systemUTC());
  private IdRanges ids;

  @BeforeEach
  void aPodHasIds() throws Exception {
    ids = IdRanges.load(run.resolve("ids"), SandboxConfig.Ids.DEFAULT, List.of(), warning -> {});
    ids.allocate(INSTANCE);
  }

  @Test
  void idsOfAPodWhoseKeeperIsGoneAreFreeAfterTheGrace() {
    LostPods lost = lost(Set.of());
    assertThat(lost.sweep()).isTrue();
    assertThat(ids.pods()).contains(INSTANCE);
    now[0] += LostPods.GRACE.toNanos();
    assertThat(lost.sweep()).isFalse();
    assertThat(ids.pods()).isEmpty();
  }

  @Test
  void idsOfAConnectedPodStayItsOwn() {
    LostPods lost = lost(Set.of(INSTANCE));
    lost.sweep();
    now[0] += LostPods.GRACE.multipliedBy(10).toNanos();
    assertThat(lost.sweep()).isFalse();
    assertThat(ids.pods()).contains(INSTANCE);
  }

  @Test
  void idsStayTakenWhileTheKeeperLives() throws Exception {
    Process keeper = new ProcessBuilder("sleep", "1000").start();
    try {
      record((int) keeper.pid(), 0);
      waitOutGrace();
      assertThat(ids.pods()).contains(INSTANCE);
    } finally {
      keeper.destroyForcibly();
      assertThat(keeper.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }
    waitOutGrace();
    assertThat(ids.pods()).isEmpty();
  }

  @Test
  void idsStayTakenWhileAProcessOfThePodLives() throws Exception {
    Process init = new ProcessBuilder("sleep", "1000").start();
    try {
      record(0, (int) init.pid());
      waitOutGrace();
      assertThat(ids.pods()).contains(INSTANCE);
    } finally {
      init.destroyForcibly();
      assertThat(init.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }
    waitOutGrace();
    assertThat(ids.pods()).isEmpty();
  }

  @Test
  void idsStayTakenWhileAStageOfThePodHangs() throws Exception {
    Process stage = new ProcessBuilder("sleep", "1000").start();
    int pid = (int) stage.pid();
    try {
      PodRecord.Builder record = PodRecord.newBuilder();
      record
          .getHelloBuilder()
          .setInstance(INSTANCE)
          .addStuckStagesBuilder()
          .setPid(pid)
          .setStartTime(startTime(pid));
      store(record.build());
      waitOutGrace();
      assertThat(ids.pods()).contains(INSTANCE);
    } finally {
      stage.destroyForcibly();
      assertThat(stage.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }
    waitOutGrace();
    assertThat(ids.pods()).isEmpty();
    assertThat(run.resolve("pods/p")).as("a record without containers").doesNotExist();
  }

  @Test
  void aRecordThatCannotBeReadKeepsIdsTaken() throws IOException {
    Path pod = Files.createDirectories(run.resolve("pods/x"));
    Files.write(pod.resolve("record"), new byte[] {(byte) 0xff, 1, 2});
    waitOutGrace();
    assertThat(ids.pods()).contains(INSTANCE);
  }

  @Test
  void aRecordThatCannotBeReadHidesNoOther() throws IOException {
    record(0, 0);
    Path torn = Files.createDirectories(run.resolve("pods/a"));
    Files.write(torn.resolve("record"), new byte[] {(byte) 0xff, 1, 2});
    Files.createDirectories(run.resolve("pods/without a record"));
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    PodRecords records = new PodRecords(run, Log.to(lines, Clock.systemUTC()));
    for (int i = 0; i < 3; i++) {
      assertThat(records.all())
          .extracting(record -> record.getHello().getInstance())
          .containsExactly(INSTANCE);
    }
    assertThat(lines.toString(StandardCharsets.UTF_8).lines())
        .as("told once")
        .singleElement()
        .asString()
        .contains(torn.toString());
  }

  @Test
  void ofManyLostPodsThoseThatAreDueAreFreed() throws Exception {
    String later = INSTANCE.replace('0', 'f');
    LostPods lost = lost(Set.of());
    assertThat(lost.sweep()).isTrue();
    now[0] += LostPods.GRACE.toNanos();
    ids.allocate(later);
    assertThat(lost.sweep()).as("one is left").isTrue();
    assertThat(ids.pods()).containsExactly(later);
    now[0] += LostPods.GRACE.toNanos();
    assertThat(lost.sweep()).isFalse();
    assertThat(ids.pods()).isEmpty();
  }

  @Test
  void anotherProcessWithTheKeepersPidIsNotTheKeeper() throws IOException {
    int own = (int) ProcessHandle.current().pid();
    assertThat(Processes.isAlive(own, startTime(own))).isTrue();
    assertThat(Processes.isAlive(own, startTime(own) + 1)).isFalse();
    assertThat(Processes.isAlive(0, 0)).isFalse();
  }

  private void waitOutGrace() {
    LostPods lost = lost(Set.of());
    lost.sweep();
    now[0] += LostPods.GRACE.toNanos();
    lost.sweep();
  }

  private LostPods lost(Set<String> connected) {
    return new LostPods(ids, new PodRecords(run, log), () -> connected, () -> now[0], log);
  }

  private void record(int keeper, int init) throws IOException {
    PodRecord.Builder record = PodRecord.newBuilder();
    Hello.Builder hello = record.getHelloBuilder().setInstance(INSTANCE).setPid(keeper);
    if (keeper != 0) {
      record.setKeeperStartTime(startTime(keeper));
    }
    if (init != 0) {
      hello
          .addContainersBuilder()
          .setContainerId("c1")
          .addProcessesBuilder()
          .setPid(init)
          .setStartTime(startTime(init));
    }
    store(record.build());
  }

  private void store(PodRecord record) throws IOException {
    Path pod = Files.createDirectories(run.resolve("pods/p"));
    byte[] bytes = record.toByteArray();
    byte[] seal = Seal.of(bytes, bytes.length);
    Files.write(
        pod.resolve("record"),
        ByteBuffer.allocate(bytes.length + seal.length).put(bytes).put(seal).array());
  }

  private static long startTime(int pid) throws IOException {
    String stat = Files.readString(Path.of("/proc", Integer.toString(pid), "stat"));
    return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ", -1)[19]);
  }
}
