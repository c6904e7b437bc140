/**
 * A client of Kubernetes' container runtime interface, as kubelet uses it: pods with a network of
 * their own, their containers, logs in the form that {@code kubectl logs} reads.
 *
 * <p>Port forwarding, attach and interactive exec, which CRI serves over HTTP, are left out: what
 * they do with a shim, containerd's task API does in other tests.
 */
@NullMarked
package brig.testing.cri;

import org.jspecify.annotations.NullMarked;
