package brig.sandbox.spec;

/** The whole of config.json. */
public record Spec(String ociVersion) {}
