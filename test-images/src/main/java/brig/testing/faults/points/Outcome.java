package brig.testing.faults.points;

import java.util.List;

/**
 * What a scene shows where nothing is killed, and which points it has.
 *
 * @param seen by client, kernel and containerd's events
 * @param steps numbers of those that the call takes
 * @param asksDaemon whether the call comes to brigd at all
 * @param hasEvent whether its Reply brings an event
 */
record Outcome(List<String> seen, List<Integer> steps, boolean asksDaemon, boolean hasEvent) {

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

  /** The points that the call has at this moment. */
  List<Point> points(Moment moment) {
    return switch (moment) {
      case STEP_SENT, STEP_HALVED, STEP_ARRIVED, RESULT_STORED ->
          steps.stream().map(number -> new Point(moment, number)).toList();
      case EVENT_QUEUED, EVENT_ACKNOWLEDGED -> hasEvent ? once(moment) : List.of();
      case ANSWERED -> once(moment);
      case REQUEST_STORED, REQUEST_HALVED, REPLY_SENT, REPLY_HALVED, REPLY_ARRIVED ->
          asksDaemon ? once(moment) : List.of();
    };
  }

  private static List<Point> once(Moment moment) {
    return List.of(new Point(moment, 0));
  }
}
