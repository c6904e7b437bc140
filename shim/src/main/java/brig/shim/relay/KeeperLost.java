package brig.shim.relay;

/**
 * The connection to the keeper ended while a request was being served.
 *
 * <p>Unchecked, since no handler can do anything about it: the request comes again from the keeper,
 * here or in the next daemon.
 */
public final class KeeperLost extends RuntimeException {
  private static final long serialVersionUID = 1L;

  public KeeperLost(String message) {
    super(message);
  }
}
