/** A client of Kubernetes' container runtime interface, as kubelet uses it. */
@NullMarked
package brig.testing.cri;

import org.jspecify.annotations.NullMarked;
