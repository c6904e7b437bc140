package brig.sandbox.ids;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.plan.IdMap;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.plan.IdRange;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class IdRangesTest {
  private static final long START = 0x7000_0000L;
  private static final long PER_POD = 65536;

  private final List<String> warnings = new ArrayList<>();

  @TempDir private Path directory;

  private SandboxConfig.Ids pool(int pods) {
    return new SandboxConfig.Ids(START, pods * PER_POD, PER_POD, Set.of(), false);
  }

  private Path file() {
    return directory.resolve("id-ranges");
  }

  private IdRanges load(SandboxConfig.Ids ids) throws BrigException {
    warnings.clear();
    return IdRanges.load(file(), ids, List.of(), List::of, warnings::add);
  }

  private static List<IdMap> maps(long host, long size) {
    return List.of(IdMap.newBuilder().setHostId((int) host).setSize((int) size).build());
  }

  @Test
  void aPodKeepsItsRangeThroughARestart() throws BrigException {
    IdRange first = load(pool(8)).allocate("pod");
    IdRanges again = load(pool(8));
    assertThat(again.allocate("pod")).isEqualTo(first);
    assertThat(again.allocate("other")).isNotEqualTo(first);
    assertThat(warnings).isEmpty();
  }

  @Test
  void idsThatCanNotBeWrittenAsFreeAreFreeAllTheSameAndWrittenLater() throws Exception {
    IdRanges ranges = load(pool(1));
    IdRange only = ranges.allocate("pod");
    // Nothing can be written where a directory stands.
    Path obstacle = directory.resolve("id-ranges.new/x");
    Files.createDirectories(obstacle);
    assertThatThrownBy(() -> ranges.release("pod"))
        .isInstanceOf(BrigException.class)
        .hasMessageContaining("make room in the run directory");
    assertThat(ranges.pods()).isEmpty();
    assertThat(load(pool(1)).pods()).containsExactly("pod");
    Files.delete(obstacle);
    Files.delete(directory.resolve("id-ranges.new"));
    assertThat(ranges.allocate("next")).isEqualTo(only);
    assertThat(load(pool(1)).pods()).containsExactly("next");
  }

  @Test
  void noTwoPodsEverShareAnId() throws BrigException {
    IdRanges ranges = load(pool(5));
    Map<String, IdRange> living = new HashMap<>();
    Random random = new Random(42);
    for (int i = 0; i < 2000; i++) {
      String pod = "pod" + random.nextInt(20);
      if (living.containsKey(pod) || living.size() == 5) {
        ranges.release(pod);
        living.remove(pod);
        continue;
      }
      IdRange own = ranges.allocate(pod);
      for (IdRange other : living.values()) {
        assertThat(
                own.firstHostId() + own.size() <= other.firstHostId()
                    || other.firstHostId() + other.size() <= own.firstHostId())
            .isTrue();
      }
      assertThat(own.firstHostId()).isBetween(START, START + 4 * PER_POD);
      living.put(pod, own);
    }
  }

  @Test
  void aRangeThatBecameFreeStaysUnusedForLong() throws BrigException {
    IdRanges ranges = load(pool(4));
    IdRange first = ranges.allocate("a");
    ranges.release("a");
    assertThat(ranges.allocate("b")).isNotEqualTo(first);
    ranges.release("b");
    assertThat(load(pool(4)).allocate("c")).isNotEqualTo(first);
  }

  @Test
  void aFullPoolIsSaidWithItsRemedy() throws BrigException {
    IdRanges ranges = load(pool(2));
    ranges.allocate("a");
    ranges.allocate("b");
    assertThatThrownBy(() -> ranges.allocate("c"))
        .isInstanceOf(BrigException.class)
        .hasMessageContaining("no 65536 ids are free")
        .hasMessageContaining("pool_size");
    ranges.release("a");
    assertThat(ranges.allocate("c")).isNotNull();
  }

  @Test
  void idsThatTheHostGaveAwayAreNotUsed() throws BrigException {
    List<SubIds> subuid =
        SubIds.parse("# comment\nalice:100000:65536\nbob:" + START + ":65537\nbroken:1\n");
    assertThat(subuid).hasSize(2);
    IdRanges ranges = IdRanges.load(file(), pool(4), subuid, List::of, warnings::add);
    assertThat(warnings).singleElement().asString().contains("bob");
    assertThat(ranges.allocate("pod").firstHostId()).isEqualTo(START + 65537);
  }

  @Test
  void idsThatALivingProcessMapsAreNotUsed() throws BrigException {
    assertThat(among(new HostIds(START, PER_POD)).allocate("pod").firstHostId())
        .isEqualTo(START + PER_POD);
    assertThat(warnings).singleElement().asString().contains("living process");
    // What the table accounts for is no stranger.
    among(new HostIds(START + PER_POD, PER_POD)).allocate("other");
    assertThat(warnings).isEmpty();
  }

  private IdRanges among(HostIds live) throws BrigException {
    warnings.clear();
    return IdRanges.load(file(), pool(4), List.of(), () -> List.of(live), warnings::add);
  }

  @Test
  void livingProcessesAreLookedAtBeforeTheFirstRangeIsGivenAndNotForWhatIsOnlyTakenOver()
      throws BrigException {
    load(pool(4)).allocate("pod");
    List<String> looks = new ArrayList<>();
    IdRanges ranges =
        IdRanges.load(
            file(),
            pool(4),
            List.of(),
            () -> {
              looks.add("look");
              return List.of();
            },
            warnings::add);
    ranges.allocate("pod");
    ranges.book("brought", maps(1_000_000, 1), List.of());
    assertThat(looks).isEmpty();
    ranges.allocate("other");
    ranges.allocate("third");
    assertThat(looks).hasSize(1);
  }

  @Test
  void idsThatASpecBringsAreNotGivenToOthers() throws BrigException {
    IdRanges ranges = load(pool(4));
    ranges.book("brought", maps(START, PER_POD), maps(START, PER_POD));
    assertThat(load(pool(4)).allocate("pod").firstHostId()).isEqualTo(START + PER_POD);
    // Two specs may bring the same ids.
    ranges.book("too", maps(START, PER_POD), maps(START, PER_POD));
    IdRange own = ranges.allocate("own");
    assertThatThrownBy(
            () -> ranges.book("thief", maps(own.firstHostId() + 5, 1), maps(1_000_000, 1)))
        .hasMessageContaining("of which pod own has some");
    ranges.book("own", maps(own.firstHostId(), own.size()), List.of());
  }

  @Test
  void aTornOrCorruptTableIsPutAsideAndSaid() throws Exception {
    load(pool(8)).allocate("pod");
    byte[] whole = Files.readAllBytes(file());
    List<byte[]> damaged = new ArrayList<>();
    for (int length = 0; length < whole.length; length += 7) {
      damaged.add(java.util.Arrays.copyOf(whole, length));
    }
    byte[] flipped = whole.clone();
    flipped[40] ^= 1;
    damaged.add(flipped);
    damaged.add(new byte[] {(byte) 0xff, (byte) 0xfe, 0});
    for (byte[] content : damaged) {
      Files.write(file(), content);
      IdRanges ranges = load(pool(8));
      assertThat(warnings).singleElement().asString().contains("put aside");
      assertThat(ranges.allocate("next").firstHostId()).isGreaterThan(START);
    }
    assertThat(directory.resolve("id-ranges.unreadable")).exists();
  }

  @Test
  void aWriteThatFailsGivesNobodyIds() throws BrigException, IOException {
    IdRanges ranges = load(pool(2));
    IdRange before = ranges.allocate("a");
    Path moved = directory.resolveSibling(directory.getFileName() + "-moved");
    Files.move(directory, moved);
    assertThatThrownBy(() -> ranges.allocate("b")).hasMessageContaining("write id ranges");
    assertThat(ranges.pods()).containsExactly("a");
    Files.move(moved, directory);
    assertThat(ranges.allocate("a")).isEqualTo(before);
    assertThat(load(pool(2)).allocate("b")).isNotEqualTo(before);
  }

  @Test
  void aPoolAmongTheHostsOwnUsersIsRefused() {
    assertThatThrownBy(() -> load(new SandboxConfig.Ids(1000, 1 << 20, PER_POD, Set.of(), false)))
        .hasMessageContaining("correct [ids]");
  }

  @Test
  void theMapsOfLivingProcessesAreSeen() throws IOException {
    Path proc = Files.createDirectories(directory.resolve("proc"));
    Files.createDirectories(proc.resolve("12"));
    Files.writeString(proc.resolve("12/uid_map"), "         0          0 4294967295\n");
    Files.createDirectories(proc.resolve("13"));
    Files.writeString(proc.resolve("13/uid_map"), "         0     100000      65536\n");
    Files.writeString(proc.resolve("13/gid_map"), "         0     200000          1\n");
    Files.createDirectories(proc.resolve("self"));
    assertThat(LiveMaps.scan(proc))
        .containsExactlyInAnyOrder(new HostIds(100000, 65536), new HostIds(200000, 1));
  }
}
