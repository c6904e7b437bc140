package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ThreadLocalRandom;
import java.util.stream.Stream;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Test;

/** What brigd and keepers have written is torn or spoilt, and brigd has to start over it. */
@OneContainerd
@OnlyBrig
class TornStateTest extends OwnContainerd {

  private static final int ROUNDS = 6;

  TornStateTest(Containerd shared) {
    super(shared);
  }

  @Test
  void aDaemonThatCanReadNoneOfItsFilesKeepsWhatTheKeepersKnow() {
    long seed = ThreadLocalRandom.current().nextLong(1_000_000);
    Random random = new Random(seed);
    List<TestContainer> pods = new ArrayList<>();
    List<Proc.Mapping> taken = new ArrayList<>();
    for (int round = 0; round < ROUNDS; round++) {
      TestContainer fresh = sleeping();
      var maps = fresh.start().proc().uidMap();
      for (Proc.Mapping other : taken) {
        assertThat(maps).as("seed %d", seed).noneMatch(other::overlaps);
      }
      taken.addAll(maps);
      pods.add(fresh);

      int brigd = containerd.brig().pid().orElseThrow();
      for (Path file : stateFiles()) {
        spoil(file, random);
      }
      Processes.signal(brigd, Signal.SIGKILL);
      for (TestContainer pod : pods) {
        assertThat(exec(pod, "echo", "kept").stdout()).as("seed %d", seed).isEqualTo("kept\n");
      }
      assertThat(containerd.brig().log()).as("seed %d", seed).contains("can't be read");
      assertThat(containerd.brig().pid().orElseThrow()).isNotEqualTo(brigd);
    }
    // Keepers have written their records anew, so that who comes after them finds what is left.
    for (TestContainer pod : pods) {
      int init = pod.pids().getFirst().getPid();
      Processes.signal(Processes.parent(init), Signal.SIGKILL);
      Eventually.holds("no task is left", () -> !pod.hasTask());
      Eventually.holds("no process is left", () -> !Processes.exists(init));
    }
    Eventually.holds("no record is left", () -> stateFiles().size() == 1, this::stateFiles);
  }

  /** The keepers' records, and brigd's table of ids. */
  private List<Path> stateFiles() {
    Path run = containerd.brig().run();
    try (Stream<Path> files = Files.walk(run.resolve("pods"))) {
      return Stream.concat(files.filter(Files::isRegularFile), Stream.of(run.resolve("ids")))
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Cut somewhere, or with one of its bytes changed. */
  private static void spoil(Path file, Random random) {
    try {
      byte[] bytes = Files.readAllBytes(file);
      int place = random.nextInt(bytes.length);
      if (random.nextBoolean()) {
        bytes = java.util.Arrays.copyOf(bytes, place);
      } else {
        bytes[place] ^= (byte) (1 + random.nextInt(255));
      }
      Files.write(file, bytes);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
