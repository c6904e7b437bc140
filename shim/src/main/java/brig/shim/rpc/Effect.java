package brig.shim.rpc;

import brig.proto.keeper.Reply;

/**
 * Something that a handler does to a pod's state by its Reply, and not before.
 *
 * <p>Called with no other reply of the same keeper in between, so that what the daemon believes and
 * what the keeper keeps change in the same order.
 */
public interface Effect {
  /** Makes it so in memory, and adds it to the reply that is about to be sent. */
  void make(Reply.Builder reply);
}
