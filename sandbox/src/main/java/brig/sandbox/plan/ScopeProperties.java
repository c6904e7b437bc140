package brig.sandbox.plan;

import brig.sandbox.dbus.Variant;
import brig.sandbox.spec.CpuLimits;
import brig.sandbox.spec.MemoryLimits;
import brig.sandbox.spec.NumberList;
import brig.sandbox.spec.Resources;
import brig.sandbox.systemd.UnitProperty;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * The limits that systemd has words for, as properties of a scope on cgroup v2
 * (systemd.resource-control(5)). All limits are written to the cgroup's files as well, exactly and
 * after these; what systemd is told keeps it from undoing them when it looks at its units again.
 */
final class ScopeProperties {
  /** What systemd takes for no limit. */
  private static final long INFINITY = -1;

  /** systemd keeps quotas in hundredths of a processor. */
  private static final long QUOTA_STEP = 10_000;

  private static final long DEFAULT_PERIOD = 100_000;
  private static final long MICROS = 1_000_000;
  private static final long MOST_WEIGHT = 10_000;

  /** Files of cgroup v2 that hold one number of bytes or tasks, and their properties. */
  private static final Map<String, String> NUMBERS =
      Map.of(
          "memory.min", "MemoryMin",
          "memory.low", "MemoryLow",
          "memory.high", "MemoryHigh",
          "memory.max", "MemoryMax",
          "memory.swap.max", "MemorySwapMax",
          "pids.max", "TasksMax");

  private final List<UnitProperty> properties = new ArrayList<>();

  private ScopeProperties() {}

  /** Of those limits that are given. */
  static List<UnitProperty> of(Resources resources) {
    ScopeProperties scope = new ScopeProperties();
    scope.cpu(resources.cpu());
    scope.memory(resources.memory());
    resources
        .pidsLimit()
        .ifPresent(limit -> scope.number("TasksMax", limit > 0 ? limit : INFINITY));
    resources
        .blockIo()
        .weight()
        .ifPresent(weight -> {
          if (weight != 0) {
            scope.number("IOWeight", LimitsV2.ioWeight(weight));
          }
        });
    scope.unified(resources.unified());
    return lastOfEach(scope.properties);
  }

  /** {@code unified} has the last word. */
  private static List<UnitProperty> lastOfEach(List<UnitProperty> properties) {
    Map<String, Integer> last = new HashMap<>();
    for (int i = 0; i < properties.size(); i++) {
      last.put(properties.get(i).name(), i);
    }
    List<UnitProperty> kept = new ArrayList<>();
    for (int i = 0; i < properties.size(); i++) {
      if (last.getOrDefault(properties.get(i).name(), i) == i) {
        kept.add(properties.get(i));
      }
    }
    return kept;
  }

  private void cpu(CpuLimits cpu) {
    if (cpu.idle().orElse(0) != 0) {
      number("CPUWeight", 0);
    } else if (cpu.shares().orElse(0) > 0) {
      number("CPUWeight", LimitsV2.weight(cpu.shares().getAsLong()));
    }
    if (cpu.quota().orElse(0) != 0 || cpu.period().orElse(0) != 0) {
      quota(cpu.quota().orElse(0), cpu.period().orElse(0));
    }
    set("AllowedCPUs", cpu.cpus());
    set("AllowedMemoryNodes", cpu.mems());
  }

  private void quota(long quota, long period) {
    long length = period > 0 ? period : DEFAULT_PERIOD;
    number("CPUQuotaPeriodUSec", length);
    number("CPUQuotaPerSecUSec", quota > 0 ? perSecond(quota, length) : INFINITY);
  }

  /** Rounded up, so that systemd never grants less than was asked for. */
  private static long perSecond(long quota, long period) {
    BigInteger perSecond =
        BigInteger.valueOf(quota)
            .multiply(BigInteger.valueOf(MICROS))
            .divide(BigInteger.valueOf(period));
    BigInteger steps =
        perSecond.add(BigInteger.valueOf(QUOTA_STEP - 1)).divide(BigInteger.valueOf(QUOTA_STEP));
    BigInteger rounded = steps.multiply(BigInteger.valueOf(QUOTA_STEP));
    return rounded.bitLength() < Long.SIZE ? rounded.longValue() : INFINITY;
  }

  private void memory(MemoryLimits memory) {
    bytes("MemoryMax", memory.limit());
    bytes("MemoryLow", memory.reservation());
    long limit = memory.limit().orElse(0);
    long swap = memory.swap().orElse(0);
    if (swap < 0) {
      number("MemorySwapMax", INFINITY);
    } else if (swap > 0 && limit > 0) {
      number("MemorySwapMax", swap - limit);
    }
  }

  private void bytes(String name, OptionalLong value) {
    if (value.orElse(0) != 0) {
      number(name, value.getAsLong() < 0 ? INFINITY : value.getAsLong());
    }
  }

  private void unified(Map<String, String> unified) {
    unified.forEach((file, value) -> {
      String text = value.strip();
      String property = NUMBERS.get(file);
      if (property != null) {
        parsed(text).ifPresent(number -> number(property, number));
        return;
      }
      switch (file) {
        case "cpuset.cpus" -> set("AllowedCPUs", text);
        case "cpuset.mems" -> set("AllowedMemoryNodes", text);
        case "cpu.weight" ->
            parsed(text)
                .filter(weight -> weight > 0 && weight <= MOST_WEIGHT)
                .ifPresent(weight -> number("CPUWeight", weight));
        case "cpu.max" -> {
          String[] parts = text.split(" ", -1);
          parsed(parts[0])
              .ifPresent(quota -> quota(quota, parts.length > 1 ? parsed(parts[1]).orElse(0L) : 0));
        }
        case "cpu.idle" ->
            parsed(text).filter(idle -> idle == 1).ifPresent(idle -> number("CPUWeight", 0));
        case "io.weight" ->
            // One line for each device, and one for all others, with its word before it or without.
            text.lines()
                .map(line -> line.strip().replaceFirst("^default ", ""))
                .flatMap(weight -> parsed(weight).stream())
                .filter(weight -> weight > 0 && weight <= MOST_WEIGHT)
                .forEach(weight -> number("IOWeight", weight));
        // systemd has no word for it: only the file is written.
        default -> {}
      }
    });
  }

  private static Optional<Long> parsed(String text) {
    if (text.equals("max")) {
      return Optional.of(INFINITY);
    }
    try {
      return Optional.of(Long.parseLong(text)).filter(number -> number >= 0);
    } catch (NumberFormatException e) {
      // The kernel will say what it thinks of it.
      return Optional.empty();
    }
  }

  /** A list such as {@code 0-3,8} as bits, the lowest in the first byte. */
  private void set(String name, String list) {
    // What is malformed the kernel refuses, by the file's name.
    if (!list.isEmpty() && NumberList.check(list).isEmpty()) {
      properties.add(new UnitProperty(name, Variant.bytes(NumberList.mask(list))));
    }
  }

  private void number(String name, long value) {
    properties.add(new UnitProperty(name, Variant.uint64(value)));
  }
}
