package brig.sandbox.spec;

/** {@code linux.namespaces[]}; an empty path asks for a new one. */
public record NamespaceSpec(NamespaceType type, String path) {}
