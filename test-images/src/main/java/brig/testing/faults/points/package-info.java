/**
 * Kills at named moments of a call's way: the harness stands between keepers and brigd, and between
 * keepers and containerd's events, sees every frame, and stops one where it is until what is to die
 * is dead. Nothing of it is in the product.
 */
@NullMarked
package brig.testing.faults.points;

import org.jspecify.annotations.NullMarked;
