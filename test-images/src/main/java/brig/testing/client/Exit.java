package brig.testing.client;

import com.google.protobuf.Timestamp;

/** How and when a process ended. */
public record Exit(int status, Timestamp at) {}
