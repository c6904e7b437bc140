/**
 * What containers may do. So far that is which system calls they may make: {@code
 * brig.profiles.seccomp}. Knows nothing of containerd, of processes or of the host; depends on
 * nothing else of Brig.
 */
@NullMarked
package brig.profiles;

import org.jspecify.annotations.NullMarked;
