package brig.testing.faults.points;

import java.util.List;

/** What is killed when calls are at their points, and what is to come of it. */
interface Fault {

  /** Whether it is another fault at this moment than at the one before. */
  boolean isToBeMadeAt(Moment moment);

  /** Every call is at its point. */
  void strike(Stage stage, List<Trial> trials);

  /** The call has had its answer: the rest of the trial, with all that is wrong with it told. */
  void goOn(Trial trial, Outcome undisturbed);

  /** All trials are over; what of the stage itself has suffered, one line each. */
  List<String> harm(Stage stage);
}
