/** The state machine of a container and its processes. Pure: no I/O, no clock, no thread. */
@NullMarked
package brig.sandbox.lifecycle;

import org.jspecify.annotations.NullMarked;
