package brig.shim.task;

import java.util.ArrayDeque;

/**
 * Runs tasks one after another, in the order of {@link #submit}.
 *
 * <p>Owns no thread: while there are tasks a virtual thread runs them, and ends with the last.
 *
 * <p>Guaranteed: no two tasks of one queue run at the same time; each sees all that the ones before
 * it did; submit never blocks. Not guaranteed: which thread a task runs on; that a task begins
 * before submit returns, or after. A task that throws ends only itself: its fault goes to its
 * thread's uncaught exception handler, and the next task runs.
 */
final class SerialQueue {
  private final ArrayDeque<Runnable> tasks = new ArrayDeque<>();
  private boolean draining;

  void submit(Runnable task) {
    synchronized (tasks) {
      tasks.add(task);
      if (draining) {
        return;
      }
      draining = true;
    }
    Thread.ofVirtual().name("queue").start(this::drain);
  }

  /** Whether nothing is waiting; the task that asks doesn't count. */
  boolean isIdle() {
    synchronized (tasks) {
      return tasks.isEmpty();
    }
  }

  private void drain() {
    while (true) {
      Runnable task;
      synchronized (tasks) {
        task = tasks.poll();
        if (task == null) {
          draining = false;
          return;
        }
      }
      try {
        task.run();
      } catch (Throwable e) {
        Thread thread = Thread.currentThread();
        thread.getUncaughtExceptionHandler().uncaughtException(thread, e);
      }
    }
  }
}
