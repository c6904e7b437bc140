/**
 * The second front door: a pod of a class with {@code api = "grpc"} is called over HTTP/2, on a
 * socket of its own beneath the run directory. Every call is handed to the pod's keeper and comes
 * back as a numbered request, as a ttrpc client's does, so that nothing else of the daemon knows by
 * which door a call came.
 *
 * <p>The only package that touches Netty, and loaded by name with the first pod that needs it: a
 * node that speaks ttrpc pays nothing. The connections, and what waits on them, end with the
 * daemon; the next one listens on the same paths again.
 */
@NullMarked
package brig.shim.grpc;

import org.jspecify.annotations.NullMarked;
