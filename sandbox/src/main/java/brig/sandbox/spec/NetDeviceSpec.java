package brig.sandbox.spec;

/** {@code linux.netDevices{}}: a host interface to move in, and its name there. */
public record NetDeviceSpec(String name) {}
