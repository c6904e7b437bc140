/**
 * System call filtering: the OCI seccomp model and its compilation to a cBPF program.
 *
 * <p>Knows nothing of containers or processes: a {@link brig.profiles.seccomp.SeccompProfile} goes
 * in, the bytes for {@code seccomp(2)} come out.
 */
@NullMarked
package brig.profiles.seccomp;

import org.jspecify.annotations.NullMarked;
