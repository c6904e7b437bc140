/**
 * Serves grpc-java's generated services over relayed requests: finds the method, keeps the order of
 * callbacks that grpc promises its handlers, gathers answer, events and state into one Reply.
 */
@NullMarked
package brig.shim.rpc;

import org.jspecify.annotations.NullMarked;
