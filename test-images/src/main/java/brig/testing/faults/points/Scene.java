package brig.testing.faults.points;

/**
 * A call in the life of a container.
 *
 * @param title of the call
 * @param method that carries it from the keeper to brigd
 * @param command what the container runs
 * @param before all that comes before the call
 * @param call the call itself; returns when the client has its answer
 * @param after the rest of the container's life, to its deletion
 */
record Scene(String title, String method, String[] command, Act before, Act call, Act after) {

  /** Whether it changes nothing, so that the keeper may answer it alone (keeper.proto, Cancel). */
  boolean onlyAsks() {
    return switch (method) {
      case "State", "Wait", "Connect", "Pids" -> true;
      default -> false;
    };
  }

  /** Whether the container's init has ended before the call. */
  boolean afterItsEnd() {
    return title.equals("Delete") || title.equals("Shutdown");
  }

  /** What a player does. */
  interface Act {
    void play(Player player) throws Exception;
  }
}
