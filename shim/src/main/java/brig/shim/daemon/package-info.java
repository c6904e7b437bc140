/** {@code brigd} itself: options, wiring, pods known, start and end. */
@NullMarked
package brig.shim.daemon;

import org.jspecify.annotations.NullMarked;
