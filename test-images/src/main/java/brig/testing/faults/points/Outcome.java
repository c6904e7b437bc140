package brig.testing.faults.points;

import java.util.List;

/**
 * What a scene shows where nothing is killed, and which points it has.
 *
 * @param seen by client, kernel and containerd's events
 * @param steps that the call takes
 * @param asksDaemon whether the call comes to brigd at all
 * @param hasEvent whether its Reply brings an event
 */
record Outcome(List<String> seen, int steps, boolean asksDaemon, boolean hasEvent) {

  static Outcome of(Trial trial) {
    Watch watch = trial.watch();
    return new Outcome(trial.player().seen(), watch.steps(), watch.isReplied(), watch.hasEvent());
  }

  /** With which init ends. */
  int exitStatus() {
    return seen.stream()
        .filter(line -> line.startsWith("exit: "))
        .map(line -> Integer.parseInt(line.substring("exit: ".length())))
        .findFirst()
        .orElseThrow();
  }

  /** How many points the call has at this moment. */
  int points(Moment moment) {
    if (moment.isOfStep()) {
      return steps;
    }
    return switch (moment) {
      case EVENT_QUEUED, EVENT_ACKNOWLEDGED -> hasEvent ? 1 : 0;
      case ANSWERED -> 1;
      case REQUEST_STORED, REQUEST_HALVED, REPLY_SENT, REPLY_HALVED, REPLY_ARRIVED ->
          asksDaemon ? 1 : 0;
      case STEP_SENT, STEP_HALVED, STEP_ARRIVED, RESULT_STORED -> steps;
    };
  }
}
