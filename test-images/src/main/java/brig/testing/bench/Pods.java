package brig.testing.bench;

import brig.testing.client.ContainerdClient;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.shim.ShimSocket;
import brig.testing.spec.OciSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

/** Containers that stay, each a pod of its own. */
final class Pods implements AutoCloseable {

  private static final int IN_FLIGHT = 4;

  /** Longer than any run. */
  private static final String[] STAY = {"sleep", "100000"};

  private final Workbench bench;
  private final List<Pod> pods = new ArrayList<>();

  /** One of them. */
  record Pod(Subject subject, TestContainer container, int initPid) {
    String id() {
      return container.id();
    }

    int shimPid() {
      try (ShimSocket socket = connect()) {
        return socket.whoServes(id()).getShimPid();
      }
    }

    ShimSocket connect() {
      return ShimSocket.connect(container.bundle());
    }
  }

  Pods(Workbench bench) {
    this.bench = bench;
  }

  Pod add(Subject subject) {
    Pod pod = start(subject);
    pods.add(pod);
    return pod;
  }

  /** Adds until there are this many of the subject, a few at a time. */
  List<Pod> fill(Subject subject, int number) {
    long there = pods.stream().filter(pod -> pod.subject() == subject).count();
    try (ExecutorService workers = Executors.newFixedThreadPool(IN_FLIGHT)) {
      List<Future<Pod>> starting = new ArrayList<>();
      for (long i = there; i < number; i++) {
        starting.add(workers.submit(() -> start(subject)));
      }
      for (Future<Pod> pod : starting) {
        pods.add(done(pod));
      }
    }
    return pods.stream().filter(pod -> pod.subject() == subject).toList();
  }

  private Pod start(Subject subject) {
    ContainerdClient client = bench.client(subject);
    TestContainer container = client.container(subject.freshHeldId(), OciSpec.running(STAY));
    return new Pod(subject, container, container.start(Stdio.none()).pid());
  }

  private static <T> T done(Future<T> future) {
    try {
      return future.get();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }

  @Override
  public void close() {
    try (ExecutorService workers = Executors.newFixedThreadPool(IN_FLIGHT)) {
      List<Future<?>> closing = new ArrayList<>();
      for (Pod pod : pods) {
        closing.add(workers.submit(pod.container()::close));
      }
      closing.forEach(Pods::done);
    }
  }
}
