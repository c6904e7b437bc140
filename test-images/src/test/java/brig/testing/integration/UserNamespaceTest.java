package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Proc.Mapping;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Every container that asks for no user namespace has one, with ids that nobody else has. */
@EachContainerd
@OnlyBrig
class UserNamespaceTest extends ClientTest {

  UserNamespaceTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void rootInsideIsNobodyOutside() {
    Proc init = sleeping().start().proc();
    assertThat(init.sharesWithHost("user")).isFalse();
    assertThat(init.uidMap()).hasSize(1);
    assertThat(init.uidMap().getFirst().inside()).isZero();
    assertThat(init.uidMap().getFirst().length()).isEqualTo(65_536);
    assertThat(init.uidMap().getFirst().outside()).isGreaterThanOrEqualTo(65_536);
    assertThat(init.gidMap()).isEqualTo(init.uidMap());
    long root = init.uidMap().getFirst().outside();
    assertThat(init.status("Uid").split("\t")).containsOnly(Long.toString(root));
    assertThat(init.status("Gid").split("\t")).containsOnly(Long.toString(root));
  }

  @Test
  void noTwoPodsShareAnId() {
    List<Mapping> all = new ArrayList<>();
    for (int i = 0; i < 5; i++) {
      all.addAll(sleeping().start().proc().uidMap());
    }
    assertThat(all).hasSize(5);
    for (Mapping one : all) {
      assertThat(all.stream().filter(one::overlaps)).containsExactly(one);
    }
  }

  @Test
  void noIdIsAnyUsersOnThisHost() throws IOException {
    Mapping range = sleeping().start().proc().uidMap().getFirst();
    for (String file : List.of("/etc/subuid", "/etc/subgid")) {
      for (String line : Files.readAllLines(Path.of(file))) {
        String[] fields = line.split(":");
        Mapping booked = new Mapping(0, Long.parseLong(fields[1]), Long.parseLong(fields[2]));
        assertThat(range.overlaps(booked)).as(line).isFalse();
      }
    }
    try (Stream<String> users = Files.lines(Path.of("/etc/passwd"))) {
      assertThat(users.mapToLong(line -> Long.parseLong(line.split(":")[2])))
          .noneMatch(uid -> range.overlaps(new Mapping(0, uid, 1)));
    }
  }

  @Test
  void capabilitiesReachNothingOfTheHost() {
    Proc init =
        container(OciSpec.running("sleep", "600").capabilities(OciSpec.DEFAULT_CAPABILITIES))
            .start()
            .proc();
    // The workload's user namespace is a child of ours: what it may do, it may do there.
    assertThat(init.namespace("user"))
        .isNotEqualTo(new Proc((int) ProcessHandle.current().pid()).namespace("user"));
    assertThat(init.capabilities("CapEff")).isNotZero();
  }

  @Test
  void filesWrittenInsideHaveTheImagesIdsOnDisk() throws IOException {
    TestContainer container =
        container(
            "sh",
            "-c",
            "touch /root-made; chown 1000:1000 /etc/motd; touch /data/user/new; chown 65534 /data/user/new; echo done; sleep 600");
    container.start().stdio().awaitStdout("done");
    Path upper = upperOf(container);
    assertThat(owner(upper.resolve("root-made"))).isEqualTo("0:0");
    assertThat(owner(upper.resolve("etc/motd"))).isEqualTo("1000:1000");
    assertThat(owner(upper.resolve("data/user/new"))).isEqualTo("65534:0");
  }

  @Test
  void theSnapshotOfOneContainerFitsTheNextsRange() {
    TestContainer container =
        container(
            "sh",
            "-c",
            "stat -c %u:%g /kept 2>/dev/null; touch /kept; chown 1000:50 /kept; echo; sleep 600");
    var first = container.start();
    first.stdio().awaitStdout("\n");
    first.signal(9);
    first.await();
    first.delete();
    // Another range is in between, so that the second run hardly gets the first one's.
    sleeping().start();
    var second = container.start();
    second.stdio().awaitStdout("1000:50\n");
  }

  private Path upperOf(TestContainer container) {
    return client.snapshotMounts(container.id()).getFirst().getOptionsList().stream()
        .filter(option -> option.startsWith("upperdir="))
        .map(option -> Path.of(option.substring("upperdir=".length())))
        .findFirst()
        .orElseThrow();
  }

  private static String owner(Path file) throws IOException {
    return Files.getAttribute(file, "unix:uid") + ":" + Files.getAttribute(file, "unix:gid");
  }

  @Test
  void aSpecsOwnMappingIsTaken() {
    OciSpec spec = OciSpec.running("sleep", "600").newNamespace("user");
    for (String kind : List.of("uidMappings", "gidMappings")) {
      spec.linux()
          .putArray(kind)
          .addObject()
          .put("containerID", 0)
          .put("hostID", 1_700_000_000L)
          .put("size", 4_096);
    }
    Proc init = container(spec).start().proc();
    assertThat(init.uidMap()).containsExactly(new Mapping(0, 1_700_000_000L, 4_096));
    assertThat(init.gidMap()).containsExactly(new Mapping(0, 1_700_000_000L, 4_096));
  }

  @Test
  void aMappingThatIsTakenIsRefusedByName() {
    TestContainer first = sleeping();
    long taken = first.start().proc().uidMap().getFirst().outside();
    OciSpec spec = OciSpec.running("sleep", "600").newNamespace("user");
    for (String kind : List.of("uidMappings", "gidMappings")) {
      spec.linux()
          .putArray(kind)
          .addObject()
          .put("containerID", 0)
          .put("hostID", taken)
          .put("size", 4_096);
    }
    assertThat(Refusals.words(() -> container(spec).create())).contains(Long.toString(taken));
  }

  @Test
  void noProcessHasIdsOfAPodThatIsGone() {
    TestContainer container = sleeping();
    var init = container.start();
    long root = init.proc().uidMap().getFirst().outside();
    assertThat(processesOf(root)).contains((long) init.pid());
    init.signal(9);
    init.await();
    init.delete();
    assertThat(processesOf(root)).isEmpty();
  }

  private static LongStream processesOf(long uid) {
    return Processes.all().stream()
        .filter(Processes::alive)
        .filter(pid -> {
          try {
            return new Proc(pid).status("Uid").startsWith(Long.toString(uid));
          } catch (java.io.UncheckedIOException e) {
            return false;
          }
        })
        .mapToLong(Integer::longValue);
  }
}
