package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Many lives while the daemon is killed again and again.
 *
 * @param seed what the lives are drawn from
 * @param lives how many
 * @param inFlight how many of them at a time
 * @param pause between two faults
 */
public record Storm(long seed, int lives, int inFlight, Duration pause) {

  /** Goes through it; the ledger has what came out. */
  public Ledger pass(Containerd containerd) {
    Ledger ledger = new Ledger();
    Map<String, List<String>> before = Inventory.of(containerd);
    try (ContainerdClient client = containerd.client();
        Events events = client.events();
        DaemonKiller killer = DaemonKiller.start(containerd.brig(), pause, ledger)) {
      liveAll(client, events, ledger);
    }
    Inventory.leftBehind(containerd, before)
        .forEach((kind, entries) -> ledger.problem("left behind: " + kind + ": " + entries));
    return ledger;
  }

  private void liveAll(ContainerdClient client, Events events, Ledger ledger) {
    Random random = new Random(seed);
    try (ExecutorService workers = Executors.newFixedThreadPool(inFlight)) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < lives; i++) {
        Life life = Life.draw(random);
        running.add(workers.submit(() -> life.live(client, events, ledger)));
      }
      for (Future<?> life : running) {
        life.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }
}
