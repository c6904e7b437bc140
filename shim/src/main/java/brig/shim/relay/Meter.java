package brig.shim.relay;

/**
 * Told what calls and steps took, and what was turned away. Called by many threads; must not block.
 */
public interface Meter {
  /** Of those who measure nothing. */
  Meter NONE =
      new Meter() {
        @Override
        public void call(String method, int code, long nanos) {}

        @Override
        public void step(String kind, boolean done, long nanos) {}

        @Override
        public void refused() {}

        @Override
        public void turnedAway() {}
      };

  /**
   * A request was answered.
   *
   * @param method as the client sent it, so any text
   * @param code of gRPC
   * @param nanos since it came to the daemon
   */
  void call(String method, int code, long nanos);

  /**
   * A keeper has answered a step.
   *
   * @param kind of the step, one of a fixed set
   * @param done whether it was carried out
   */
  void step(String kind, boolean done, long nanos);

  /** A request found too many others. */
  void refused();

  /** A connection was closed before it said anything: too many, or a foreign user's. */
  void turnedAway();
}
