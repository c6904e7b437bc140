/**
 * systemd's transient scopes, in which containers stand whose {@code cgroupsPath} asks for that:
 * their names, and making, changing and ending them over D-Bus. What limits a scope gets is planned
 * elsewhere.
 */
@NullMarked
package brig.sandbox.systemd;

import org.jspecify.annotations.NullMarked;
