/**
 * The daemon and its front doors: keepers' relayed calls, gRPC, the command line.
 *
 * <p>Each door has a package of its own; this one is empty. What a container may have is decided
 * beneath {@code brig.sandbox}; nothing here touches the kernel for a container.
 */
@NullMarked
package brig.shim;

import org.jspecify.annotations.NullMarked;
