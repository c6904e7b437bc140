package brig.sandbox.spec;

import java.util.OptionalInt;
import java.util.OptionalLong;

/** {@code linux.devices[]}. */
public record DeviceSpec(
    String path,
    DeviceType type,
    long major,
    long minor,
    OptionalInt fileMode,
    OptionalLong uid,
    OptionalLong gid) {}
