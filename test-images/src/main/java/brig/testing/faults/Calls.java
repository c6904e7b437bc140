package brig.testing.faults;

import brig.testing.client.Exit;
import brig.testing.client.TestProcess;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Supplier;

/**
 * A client's calls, timed. A containerd that is killed takes the calls that are under way along,
 * and nobody can say whether they were carried out; so it is killed between calls, while processes
 * run, write and end. Waits are under way then, and are asked again.
 */
final class Calls {

  private final Ledger ledger;
  private final ReadWriteLock containerd = new ReentrantReadWriteLock(true);

  Calls(Ledger ledger) {
    this.ledger = ledger;
  }

  <T> T make(String name, Supplier<T> call) {
    return quietly(() -> {
      long begin = System.nanoTime();
      try {
        return call.get();
      } finally {
        ledger.call(name, begin, System.nanoTime());
      }
    });
  }

  /** One whose time says nothing: containerd alone answers it. */
  <T> T quietly(Supplier<T> call) {
    containerd.readLock().lock();
    try {
      return call.get();
    } finally {
      containerd.readLock().unlock();
    }
  }

  Exit await(TestProcess process) {
    while (true) {
      try {
        return process.await();
      } catch (StatusRuntimeException e) {
        if (e.getStatus().getCode() != Code.UNAVAILABLE || ledger.restarts() == 0) {
          throw e;
        }
      }
    }
  }

  /** Something that no call may meet. */
  void between(Runnable action) {
    containerd.writeLock().lock();
    try {
      action.run();
    } finally {
      containerd.writeLock().unlock();
    }
  }
}
