/**
 * The test machine: a node of its own under QEMU, with systemd and cgroup v2 alone, seen through
 * the commands that it runs. The tests' own process stays on the host, since a JVM is slow in
 * there. How the machine is made and spoken to is in {@code test-images/machine}.
 */
@NullMarked
package brig.testing.machine;

import org.jspecify.annotations.NullMarked;
