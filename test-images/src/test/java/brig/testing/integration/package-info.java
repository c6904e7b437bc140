/**
 * What containerd's users can rely on, tested with the real containerd and read back from the
 * kernel.
 *
 * <p>Run with {@code -Pintegration}. {@code -Dbrig.runtime=io.containerd.runc.v2} runs the same
 * tests with the runc shim, less those marked {@link brig.testing.integration.OnlyBrig}: that they
 * pass shows that the tests ask for what containerd's clients are used to.
 */
@NullMarked
package brig.testing.integration;

import org.jspecify.annotations.NullMarked;
