package brig.shim.task;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * One container id of a pod: its present state, who waits for its exits, and the queues through
 * which it is changed.
 *
 * <p>An id may be known before its container is (while Create works) and a moment longer (until its
 * queue is empty); then {@link #state} is empty.
 */
final class Container {
  /** The process was forgotten before it had an exit. */
  static final class Gone extends Exception {
    private static final long serialVersionUID = 1L;
  }

  private final String id;
  private final SerialQueue queue = new SerialQueue();
  private final Object lock = new Object();
  // Guarded by lock, as is every write of state.
  private final Map<String, SerialQueue> execQueues = new HashMap<>();
  private final Map<String, Set<CompletableFuture<Exit>>> exits = new HashMap<>();
  private final List<CompletableFuture<Void>> execExits = new ArrayList<>();
  private int creating;
  private volatile Optional<ContainerState> state = Optional.empty();

  Container(String id) {
    this.id = id;
  }

  /** One that a former daemon made. */
  Container(ContainerState state) {
    this.id = state.id();
    this.state = Optional.of(state);
  }

  String id() {
    return id;
  }

  Optional<ContainerState> state() {
    return state;
  }

  /** The state, or NOT_FOUND in the words that clients look for. */
  ContainerState require(String step) throws BrigException {
    Optional<ContainerState> now = state;
    if (now.isPresent()) {
      return now.get();
    }
    String words =
        isCreating() ? "container not found: still being created" : "container not found";
    throw new BrigException(Kind.NOT_FOUND, step, id, words, "");
  }

  /** Runs what changes the container, in its turn. */
  void submit(Runnable task) {
    queue.submit(task);
  }

  /** Runs what changes one exec, in its turn; an exec that hangs holds up nothing but itself. */
  void submit(String execId, Runnable task) {
    if (execId.isEmpty()) {
      queue.submit(task);
      return;
    }
    synchronized (lock) {
      execQueues
          .computeIfAbsent(execId, key -> new SerialQueue())
          .submit(() -> {
            try {
              task.run();
            } finally {
              forgetQueue(execId);
            }
          });
    }
  }

  /** An exec that isn't there, or not any more, keeps none. */
  private void forgetQueue(String execId) {
    synchronized (lock) {
      SerialQueue last = execQueues.get(execId);
      if (last != null && last.isIdle() && !isThere(state, execId)) {
        execQueues.remove(execId);
      }
    }
  }

  /** A Create has arrived. */
  void createBegins() {
    synchronized (lock) {
      creating++;
    }
  }

  /** It has been answered. */
  void createEnds() {
    synchronized (lock) {
      creating--;
    }
  }

  boolean isCreating() {
    synchronized (lock) {
      return creating > 0;
    }
  }

  boolean isVacant() {
    return state.isEmpty() && !isCreating() && queue.isIdle();
  }

  /** Notes an exec's exit that is on its way through its queue. */
  CompletableFuture<Void> execExitArrived() {
    CompletableFuture<Void> told = new CompletableFuture<>();
    synchronized (lock) {
      execExits.removeIf(CompletableFuture::isDone);
      execExits.add(told);
    }
    return told;
  }

  /** Done when all exits of execs that arrived before have been answered. */
  CompletableFuture<Void> execExitsSoFar() {
    synchronized (lock) {
      return CompletableFuture.allOf(execExits.toArray(CompletableFuture<?>[]::new));
    }
  }

  /**
   * Completes when init (empty id) or the exec has ended, at once where it has, with {@link Gone}
   * where it is forgotten first. NOT_FOUND for what is not there. The future is the caller's own,
   * and no longer held once he completes it himself.
   */
  CompletableFuture<Exit> exit(String step, String execId) throws BrigException {
    synchronized (lock) {
      ContainerState now = require(step);
      Optional<Exit> exit =
          execId.isEmpty() ? now.lifecycle().exit() : now.lifecycle().exec(step, execId).exit();
      return exit.map(CompletableFuture::completedFuture).orElseGet(() -> waiter(execId));
    }
  }

  private CompletableFuture<Exit> waiter(String execId) {
    CompletableFuture<Exit> waiter = new CompletableFuture<>();
    exits.computeIfAbsent(execId, key -> new HashSet<>()).add(waiter);
    waiter.whenComplete((exit, why) -> forget(execId, waiter));
    return waiter;
  }

  private void forget(String execId, CompletableFuture<Exit> waiter) {
    synchronized (lock) {
      Set<CompletableFuture<Exit>> others = exits.get(execId);
      if (others != null && others.remove(waiter) && others.isEmpty()) {
        exits.remove(execId);
      }
    }
  }

  /** The next state. Called in the order of replies only. */
  void become(Optional<ContainerState> next) {
    List<Runnable> news = new ArrayList<>();
    synchronized (lock) {
      state = next;
      Iterator<Map.Entry<String, Set<CompletableFuture<Exit>>>> waiting =
          exits.entrySet().iterator();
      while (waiting.hasNext()) {
        Map.Entry<String, Set<CompletableFuture<Exit>>> entry = waiting.next();
        Set<CompletableFuture<Exit>> waiters = entry.getValue();
        if (!isThere(next, entry.getKey())) {
          waiting.remove();
          news.add(() -> waiters.forEach(waiter -> waiter.completeExceptionally(new Gone())));
        } else {
          Optional<Exit> exit = next.flatMap(now -> exitOf(now, entry.getKey()));
          if (exit.isPresent()) {
            waiting.remove();
            news.add(() -> waiters.forEach(waiter -> waiter.complete(exit.get())));
          }
        }
      }
    }
    news.forEach(Runnable::run);
  }

  private static boolean isThere(Optional<ContainerState> state, String execId) {
    return state.isPresent()
        && (execId.isEmpty() || state.get().lifecycle().execs().containsKey(execId));
  }

  private static Optional<Exit> exitOf(ContainerState state, String execId) {
    if (execId.isEmpty()) {
      return state.lifecycle().exit();
    }
    return Optional.ofNullable(state.lifecycle().execs().get(execId)).flatMap(ExecProcess::exit);
  }
}
