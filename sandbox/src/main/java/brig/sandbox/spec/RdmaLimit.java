package brig.sandbox.spec;

import java.util.OptionalLong;

/** {@code linux.resources.rdma{}}. */
public record RdmaLimit(OptionalLong hcaHandles, OptionalLong hcaObjects) {}
