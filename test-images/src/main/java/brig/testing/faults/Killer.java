package brig.testing.faults;

import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** Does something bad at even distances until it is closed. */
final class Killer implements AutoCloseable {

  private final Duration pause;
  private final Runnable deed;
  private final Ledger ledger;
  private final CountDownLatch end = new CountDownLatch(1);
  private final Thread thread;

  private Killer(String name, Duration pause, Runnable deed, Ledger ledger) {
    this.pause = pause;
    this.deed = deed;
    this.ledger = ledger;
    this.thread = Thread.ofPlatform().name(name).unstarted(this::kill);
  }

  static Killer start(String name, Duration pause, Runnable deed, Ledger ledger) {
    Killer killer = new Killer(name, pause, deed, ledger);
    killer.thread.start();
    return killer;
  }

  private void kill() {
    try {
      while (!end.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
        deed.run();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (RuntimeException | AssertionError e) {
      ledger.problem(thread.getName() + " gave up: " + e);
    }
  }

  @Override
  public void close() {
    end.countDown();
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
