/** A client of a shim itself: its command line and ttrpc, without containerd in between. */
@NullMarked
package brig.testing.shim;

import org.jspecify.annotations.NullMarked;
