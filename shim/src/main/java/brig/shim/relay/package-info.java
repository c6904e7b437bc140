/**
 * The socket between keepers, the command line and the daemon: frames, peers, numbered steps.
 *
 * <p>Knows the messages of {@code keeper.proto} and who may speak; knows nothing of tasks. Limits:
 * a frame has at most 16 MiB, a keeper at most {@link
 * brig.shim.relay.KeeperConnection#MAX_REQUESTS} requests in flight, a silent peer {@link
 * brig.shim.relay.RelayServer#OPENING_LIMIT} to open.
 */
@NullMarked
package brig.shim.relay;

import org.jspecify.annotations.NullMarked;
