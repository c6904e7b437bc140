package brig.sandbox.spec;

/** {@code root}. */
public record RootSpec(String path, boolean readonly) {}
