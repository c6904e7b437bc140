package brig.sandbox.spec;

/** One line of an id map. */
public record IdMapSpec(long containerId, long hostId, long size) {}
