package brig.testing.faults.points;

import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;

/**
 * Trials that share one kill: each has a pod of its own, all are brought to their points and held
 * there, and whatever is killed is killed once all are.
 */
final class Batch {

  private final Stage stage;
  private final List<Trial> trials;

  Batch(Stage stage, List<Trial> trials) {
    this.stage = stage;
    this.trials = trials;
  }

  /**
   * @param deed what is done when every trial is at its point
   * @param rest of each trial, once its call has been answered
   */
  void play(Consumer<List<Trial>> deed, Consumer<Trial> rest) {
    each(trial -> trial.play(trial.scene().before()));
    for (Trial trial : trials) {
      stage.watch(trial.watch());
      trial.beginCall();
    }
    each(trial -> {
      if (!trial.comesToItsPoint()) {
        trial.problem("the call never came to its point");
      }
    });
    deed.accept(trials);
    trials.forEach(trial -> trial.watch().goOn());
    each(trial -> {
      trial.awaitCall();
      rest.accept(trial);
    });
    each(trial -> {
      stage.unwatch(trial.watch());
      trial.play(Player::close);
    });
  }

  private void each(Consumer<Trial> part) {
    try (ExecutorService players = Executors.newVirtualThreadPerTaskExecutor()) {
      List<Future<?>> playing = new java.util.ArrayList<>();
      for (Trial trial : trials) {
        playing.add(players.submit(() -> part.accept(trial)));
      }
      for (Future<?> one : playing) {
        one.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    } catch (ExecutionException e) {
      throw new IllegalStateException(e.getCause());
    }
  }
}
