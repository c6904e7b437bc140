package brig.sandbox.spec;

import java.util.OptionalInt;

/** {@code linux.resources.blockIO.weightDevice[]}. */
public record WeightDevice(long major, long minor, OptionalInt weight, OptionalInt leafWeight) {}
