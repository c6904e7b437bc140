package brig.testing.faults.points;

import brig.testing.kernel.Processes;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Signal;

/**
 * Follows one call of one pod, the first of its method, and stops it at a point until it is let go
 * on; without a point it only counts. All methods may be called by any thread.
 */
final class Watch {

  private final String pod;
  private final String method;
  private final Optional<Point> point;
  private final CountDownLatch there = new CountDownLatch(1);
  private final CountDownLatch goOn = new CountDownLatch(1);
  private long seq;
  private final SortedSet<Integer> steps = new TreeSet<>();
  private boolean askedAgain;
  private boolean replied;
  private String event = "";
  private int keeper;
  private boolean stopped;

  Watch(String pod, String method, Optional<Point> point) {
    this.pod = pod;
    this.method = method;
    this.point = point;
  }

  String pod() {
    return pod;
  }

  /** A request of the pod is on its way to brigd; whether it is the one. */
  synchronized boolean requested(String asked, long number) {
    if (seq == 0 && asked.equals(method)) {
      seq = number;
      return true;
    }
    askedAgain |= seq == number;
    return seq == number;
  }

  /** Whether the call has come to a second brigd. */
  synchronized boolean isAskedAgain() {
    return askedAgain;
  }

  synchronized boolean isAbout(long number) {
    return seq != 0 && seq == number;
  }

  synchronized void step(int number) {
    steps.add(number);
  }

  /** Numbers of the steps that the call has taken; some may be left out. */
  synchronized List<Integer> steps() {
    return List.copyOf(steps);
  }

  /** The Reply has been seen, with this event as its first; empty: none. */
  synchronized void replied(String firstEvent) {
    replied = true;
    event = firstEvent;
  }

  synchronized boolean isReplied() {
    return replied;
  }

  /** Whether this is the first event that the Reply brought. */
  synchronized boolean isEvent(String topic) {
    return !event.isEmpty() && event.equals(topic);
  }

  /** Whether the Reply has brought events. */
  synchronized boolean hasEvent() {
    return !event.isEmpty();
  }

  synchronized void keeper(int pid) {
    keeper = pid;
  }

  synchronized int keeper() {
    return keeper;
  }

  /** Whether the call is to be stopped here, and has not been yet. */
  boolean endsAt(Moment moment, long step) {
    return there.getCount() > 0 && point.isPresent() && point.get().is(moment, step);
  }

  /** From here on the keeper does nothing until it is let go on. */
  void stopKeeper() {
    int pid;
    synchronized (this) {
      pid = keeper;
      stopped = true;
    }
    Processes.signal(pid, Signal.SIGSTOP);
    Processes.awaitStopped(pid);
  }

  /** The call is there; returns when it may go on. */
  void stay() throws IOException {
    there.countDown();
    try {
      if (!goOn.await(60, TimeUnit.SECONDS)) {
        throw new IOException("nobody let the call go on");
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException(e);
    }
  }

  /** The call is there, and goes on. */
  void pass() {
    there.countDown();
  }

  /** Whether the call has come to its point in this time. */
  boolean await(long millis) throws InterruptedException {
    return there.await(millis, TimeUnit.MILLISECONDS);
  }

  /** What was to be done at this point has been done. */
  void goOn() {
    goOn.countDown();
  }

  /** A keeper that was stopped runs again, if it was not killed. */
  void wakeKeeper() {
    boolean wake;
    int pid;
    synchronized (this) {
      wake = stopped;
      stopped = false;
      pid = keeper;
    }
    if (wake && Processes.alive(pid)) {
      Processes.signal(pid, Signal.SIGCONT);
    }
  }
}
