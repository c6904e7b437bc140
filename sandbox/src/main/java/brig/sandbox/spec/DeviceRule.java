package brig.sandbox.spec;

import java.util.OptionalLong;

/** {@code linux.resources.devices[]}; an absent major or minor stands for all. */
public record DeviceRule(
    boolean allow, DeviceType type, OptionalLong major, OptionalLong minor, String access) {}
