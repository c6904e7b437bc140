package brig.sandbox.spec;

/** {@code linux.resources.network.priorities[]}. */
public record InterfacePriority(String name, long priority) {}
