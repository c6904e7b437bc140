/** OCI runtime specifications for test containers, in containerd's default form. */
@NullMarked
package brig.testing.spec;

import org.jspecify.annotations.NullMarked;
