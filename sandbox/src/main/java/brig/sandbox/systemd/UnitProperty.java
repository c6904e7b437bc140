package brig.sandbox.systemd;

import brig.sandbox.dbus.Variant;

/** A property of a unit, as org.freedesktop.systemd1(5) names them. */
public record UnitProperty(String name, Variant value) {}
