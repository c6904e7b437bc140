package brig.testing.faults.points;

/** A moment, and the step that it is about, counted from 1; 0 where it is about none. */
record Point(Moment moment, int step) {

  boolean is(Moment other) {
    return moment == other;
  }

  boolean is(Moment other, long number) {
    return moment == other && step == number;
  }

  @Override
  public String toString() {
    return step == 0 ? moment.toString() : moment + " " + step;
  }
}
