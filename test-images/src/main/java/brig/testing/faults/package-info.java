/**
 * Faults on purpose: containers live their lives under a real containerd while parts of Brig are
 * killed, and everything a client was promised is checked. What is drawn at random is drawn from a
 * seed that is printed; when a fault hits is up to the machine.
 */
@org.jspecify.annotations.NullMarked
package brig.testing.faults;
