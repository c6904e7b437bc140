package brig.sandbox.spec;

import java.util.List;
import java.util.OptionalInt;

/** {@code linux.resources.blockIO}. */
public record BlockIo(
    OptionalInt weight,
    OptionalInt leafWeight,
    List<WeightDevice> weightDevices,
    List<ThrottleDevice> throttleReadBps,
    List<ThrottleDevice> throttleWriteBps,
    List<ThrottleDevice> throttleReadIops,
    List<ThrottleDevice> throttleWriteIops) {
  public BlockIo {
    weightDevices = List.copyOf(weightDevices);
    throttleReadBps = List.copyOf(throttleReadBps);
    throttleWriteBps = List.copyOf(throttleWriteBps);
    throttleReadIops = List.copyOf(throttleReadIops);
    throttleWriteIops = List.copyOf(throttleWriteIops);
  }

  public static final BlockIo NONE =
      new BlockIo(
          OptionalInt.empty(),
          OptionalInt.empty(),
          List.of(),
          List.of(),
          List.of(),
          List.of(),
          List.of());
}
