/**
 * The part of D-Bus that calling a service takes: connect, call, hear signals. Little endian, no
 * descriptors, small messages; what is received is checked against the specification ("D-Bus
 * Specification", sections Type System, Message Format and Authentication) and refused where it
 * deviates. Loaded only where a container asks for a unit of systemd's.
 */
@NullMarked
package brig.sandbox.dbus;

import org.jspecify.annotations.NullMarked;
