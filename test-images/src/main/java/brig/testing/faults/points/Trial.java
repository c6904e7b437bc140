package brig.testing.faults.points;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** A scene played once, by a pod of its own, and stopped at a point where one is named. */
final class Trial {

  private static final long SECONDS = 60;

  private final Scene scene;
  private final Optional<Point> point;
  private final Player player;
  private final Watch watch;
  private final List<String> problems = new ArrayList<>();
  private Optional<CompletableFuture<Void>> call = Optional.empty();

  Trial(Scene scene, Optional<Point> point, Player player) {
    this.scene = scene;
    this.point = point;
    this.player = player;
    this.watch = new Watch(player.id(), scene.method(), point);
  }

  Scene scene() {
    return scene;
  }

  Optional<Point> point() {
    return point;
  }

  Player player() {
    return player;
  }

  Watch watch() {
    return watch;
  }

  synchronized void problem(String text) {
    problems.add(text);
  }

  synchronized List<String> problems() {
    return List.copyOf(problems);
  }

  /** Plays a part; what goes wrong is a problem of the trial's. */
  void play(Scene.Act act) {
    try {
      act.play(player);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      problem("interrupted");
    } catch (Exception | AssertionError e) {
      problem(String.valueOf(e));
    }
  }

  /** The rest of the container's life, to its last event. */
  void finish() {
    play(scene.after());
    play(Player::events);
  }

  void beginCall() {
    CompletableFuture<Void> over = new CompletableFuture<>();
    call = Optional.of(over);
    Thread.ofVirtual()
        .start(() -> {
          play(scene.call());
          over.complete(null);
        });
  }

  /** Returns when the call is where it is to be stopped; false: it never comes there. */
  boolean comesToItsPoint() {
    try {
      if (point.isEmpty() || point.get().is(Moment.ANSWERED)) {
        awaitCall();
        return true;
      }
      long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(SECONDS);
      while (System.nanoTime() < end) {
        if (watch.await(20)) {
          return true;
        }
        if (call.orElseThrow().isDone() && watch.await(1000)) {
          return true;
        }
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return false;
  }

  /** Returns when the client has its answer. */
  void awaitCall() {
    try {
      call.orElseThrow().get(SECONDS, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException | TimeoutException e) {
      problem("the call has no end: " + e);
    }
  }

  @Override
  public String toString() {
    return scene.title() + point.map(at -> ", " + at).orElse("");
  }
}
