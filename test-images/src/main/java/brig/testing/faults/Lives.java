package brig.testing.faults;

import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/**
 * Many lives, some of them at a time.
 *
 * @param seed what they are drawn from
 * @param number how many
 * @param inFlight how many of them at a time
 */
record Lives(long seed, int number, int inFlight) {

  /** Lives them all. A life that fails is the ledger's, anything else is thrown. */
  void live(ContainerdClient client, Optional<Events> events, Calls calls, Ledger ledger) {
    Random random = new Random(seed);
    try (ExecutorService workers = Executors.newFixedThreadPool(inFlight)) {
      List<Future<?>> running = new ArrayList<>();
      for (int i = 0; i < number; i++) {
        Life life = Life.draw(random);
        running.add(workers.submit(() -> life.live(client, events, calls, ledger)));
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
