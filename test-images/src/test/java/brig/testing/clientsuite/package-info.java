/** How the run of containerd's own client tests is judged. */
@org.jspecify.annotations.NullMarked
package brig.testing.clientsuite;
