package brig.sandbox.spec;

/** A rate limit for one device: bytes or operations per second. */
public record ThrottleDevice(long major, long minor, long rate) {}
