/**
 * What the kernel says about processes, mounts, cgroups and terminals, read from {@code /proc} and
 * through jnr-posix.
 */
@NullMarked
package brig.testing.kernel;

import org.jspecify.annotations.NullMarked;
