/**
 * The engine: from what a container asks for to the launch plan that native code carries out, and
 * what must be known of it afterwards.
 *
 * <p>This package has what its parts share: the configuration, and the error that all of them
 * raise, with step, object, cause and remedy. The engine opens no path that a client named and
 * knows no protocol of containerd's; whoever calls it does.
 */
@NullMarked
package brig.sandbox;

import org.jspecify.annotations.NullMarked;
