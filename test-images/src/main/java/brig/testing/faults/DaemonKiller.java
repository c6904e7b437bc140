package brig.testing.faults;

import brig.testing.BrigDaemon;
import brig.testing.kernel.Processes;
import java.time.Duration;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Signal;

/** Kills the daemon, whichever runs, at even distances, until it is closed. */
final class DaemonKiller implements AutoCloseable {

  private final BrigDaemon daemon;
  private final Duration pause;
  private final Ledger ledger;
  private final CountDownLatch end = new CountDownLatch(1);
  private final Thread thread;

  private DaemonKiller(BrigDaemon daemon, Duration pause, Ledger ledger) {
    this.daemon = daemon;
    this.pause = pause;
    this.ledger = ledger;
    this.thread = Thread.ofPlatform().name("killer").unstarted(this::kill);
  }

  static DaemonKiller start(BrigDaemon daemon, Duration pause, Ledger ledger) {
    DaemonKiller killer = new DaemonKiller(daemon, pause, ledger);
    killer.thread.start();
    return killer;
  }

  private void kill() {
    try {
      while (!end.await(pause.toMillis(), TimeUnit.MILLISECONDS)) {
        daemon
            .pid()
            .ifPresent(pid -> {
              ledger.fault(System.nanoTime());
              Processes.signal(pid, Signal.SIGKILL);
            });
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
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
