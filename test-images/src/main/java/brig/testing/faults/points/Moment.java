package brig.testing.faults.points;

/**
 * Where a call is when something is killed, in the order in which it comes there. Between two
 * neighbours neither the keeper nor brigd says anything to anybody.
 */
enum Moment {
  /** The keeper has stored the request; brigd has not seen it. */
  REQUEST_STORED("request stored"),
  /** Half of the request has come to brigd. */
  REQUEST_HALVED("half a request"),
  /**
   * brigd has served the request so far and sent a step, of which nothing has come to the keeper.
   */
  STEP_SENT("step sent"),
  /** Half of the step has come to the keeper. */
  STEP_HALVED("half a step"),
  /** The step has come; the keeper, which is stopped, carries it out when brigd is dead. */
  STEP_ARRIVED("step arrived"),
  /** The step has been carried out and its result stored; brigd has not seen it. */
  RESULT_STORED("result stored"),
  /** brigd has sent its Reply, of which nothing has come to the keeper. */
  REPLY_SENT("reply sent"),
  /** Half of the Reply has come. */
  REPLY_HALVED("half a reply"),
  /** The Reply has come; the keeper, which is stopped, writes its state when brigd is dead. */
  REPLY_ARRIVED("reply arrived"),
  /** State is written; the Reply's first event is on its way to containerd. */
  EVENT_QUEUED("event queued"),
  /** containerd has taken it. */
  EVENT_ACKNOWLEDGED("event acknowledged"),
  /** The client has its answer. */
  ANSWERED("answered");

  private final String title;

  Moment(String title) {
    this.title = title;
  }

  /** Whether the Reply has come to the keeper by then, so that nobody is asked again. */
  boolean isReplied() {
    return switch (this) {
      case REPLY_ARRIVED, EVENT_QUEUED, EVENT_ACKNOWLEDGED, ANSWERED -> true;
      case REQUEST_STORED,
          REQUEST_HALVED,
          STEP_SENT,
          STEP_HALVED,
          STEP_ARRIVED,
          RESULT_STORED,
          REPLY_SENT,
          REPLY_HALVED ->
          false;
    };
  }

  @Override
  public String toString() {
    return title;
  }
}
