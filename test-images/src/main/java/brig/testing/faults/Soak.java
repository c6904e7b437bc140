package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Many lives without a fault, beside some pods that live all the time, and what Brig takes of the
 * host before and after.
 *
 * @param seed what the lives are drawn from
 * @param lives how many
 * @param inFlight how many of them at a time
 */
public record Soak(long seed, int lives, int inFlight) {

  /** Pods that live all the time. */
  private static final int RESIDENTS = 3;

  /** Programs that each of them has to run, once for so many lives. */
  private static final int LIVES_PER_EXEC = 10;

  /**
   * After its first lives a daemon is as large as it gets: classes are loaded, the heap has met its
   * first collections, the paths of a life are compiled.
   */
  private static final int FIRST_LIVES = 300;

  /** The daemon gives memory back every ten seconds. */
  private static final Duration PATIENCE = Duration.ofSeconds(30);

  /**
   * How it went.
   *
   * @param rows what was there before and after
   * @param problems of single lives, and what was left behind
   */
  public record Outcome(List<Growth> rows, List<String> problems, Duration time) {

    public Outcome {
      rows = List.copyOf(rows);
      problems = List.copyOf(problems);
    }
  }

  public Outcome pass(Containerd containerd) {
    try (ContainerdClient client = containerd.client();
        Events events = client.events()) {
      List<TestContainer> residents = new ArrayList<>();
      try {
        List<Integer> keepers = new ArrayList<>();
        for (int i = 0; i < RESIDENTS; i++) {
          TestContainer resident =
              client.container(Names.fresh("stays"), OciSpec.running("sleep", "86400"));
          residents.add(resident);
          keepers.add(Processes.parent(resident.start(Stdio.none()).pid()));
        }
        return compare(containerd, client, events, residents, keepers);
      } finally {
        residents.forEach(TestContainer::close);
      }
    }
  }

  private Outcome compare(
      Containerd containerd,
      ContainerdClient client,
      Events events,
      List<TestContainer> residents,
      List<Integer> keepers) {
    Ledger ledger = new Ledger();
    Calls calls = new Calls(ledger);
    var inventory = Inventory.of(containerd);
    new Lives(seed, Math.min(lives, FIRST_LIVES), inFlight)
        .live(client, Optional.of(events), calls, ledger);
    // What a keeper keeps for all execs after its first.
    residents.forEach(resident -> resident.ask("true"));
    Inventory.leftBehind(containerd, inventory);
    Footprint before = Footprint.of(containerd, keepers);
    long begin = System.nanoTime();
    Thread work = Thread.ofPlatform().start(() -> work(residents, ledger));
    new Lives(seed + 1, lives, inFlight).live(client, Optional.of(events), calls, ledger);
    join(work);
    Duration time = Duration.ofNanos(System.nanoTime() - begin);
    Inventory.leftBehind(containerd, inventory)
        .forEach((kind, entries) -> ledger.problem("left behind: " + kind + ": " + entries));
    Eventually.within(
        PATIENCE,
        () ->
            Growth.between(before, Footprint.of(containerd, keepers)).stream()
                .allMatch(Growth::isAllowed));
    return new Outcome(
        Growth.between(before, Footprint.of(containerd, keepers)), ledger.problems(), time);
  }

  /** What the pods that stay have to do meanwhile. */
  private void work(List<TestContainer> residents, Ledger ledger) {
    try {
      for (int i = 0; i < lives / LIVES_PER_EXEC; i++) {
        for (TestContainer resident : residents) {
          ledger.expect(resident.id() + ": an exec", "done\n", resident.ask("echo", "done"));
        }
      }
    } catch (RuntimeException | AssertionError e) {
      ledger.problem("an exec in a pod that stays: " + e);
    }
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }
}
