package brig.shim.rpc;

import brig.proto.keeper.Reply;

/**
 * Something that a handler does to a pod's state by its Reply, and not before.
 *
 * <p>Both calls are made with no other reply of the same keeper between them, so that what the
 * daemon believes and what the keeper keeps change in the same order.
 */
public interface Effect {
  /** Adds it to the reply that is about to be sent. */
  void addTo(Reply.Builder reply);

  /** The reply has been sent: makes it so in memory. */
  void sent();
}
