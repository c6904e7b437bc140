package brig.sandbox.lifecycle;

import java.time.Instant;

/**
 * How a process ended.
 *
 * @param status 0 to 255; a death by signal n is 128 + n
 */
public record Exit(int status, Instant at) {}
