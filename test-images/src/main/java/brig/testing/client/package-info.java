/** A client of containerd's gRPC interface: containers, tasks, events, on a unix socket. */
@NullMarked
package brig.testing.client;

import org.jspecify.annotations.NullMarked;
