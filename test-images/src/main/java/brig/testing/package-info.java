/**
 * The harness: starts a private containerd of a real version, drives it as its users do ({@code
 * ctr}, gRPC, CRI), talks to shims directly, and looks at processes and mounts through the kernel.
 *
 * <p>It shares no transport or system call code with what it tests: unix sockets come from
 * jnr-unixsocket and Netty, system calls from jnr-posix, messages from interface descriptions of
 * its own. It ends only what it started.
 */
@NullMarked
package brig.testing;

import org.jspecify.annotations.NullMarked;
