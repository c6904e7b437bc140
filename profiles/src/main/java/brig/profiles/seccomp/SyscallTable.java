package brig.profiles.seccomp;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;

/**
 * System call names and numbers per architecture, from {@code syscalls.txt}, which {@code
 * scripts/gen-syscalls} makes from the kernel's headers.
 */
final class SyscallTable {
  /** Columns of the file. */
  private static final List<Architecture> COLUMNS =
      List.of(
          Architecture.X86_64,
          Architecture.X86,
          Architecture.X32,
          Architecture.AARCH64,
          Architecture.ARM);

  /** __X32_SYSCALL_BIT of asm/unistd.h: every x32 number carries it. */
  static final int X32_BIT = 0x4000_0000;

  private static final SyscallTable INSTANCE = load();

  private final Map<Architecture, Map<String, Integer>> numbers;
  private final Set<String> names;

  private SyscallTable(Map<Architecture, Map<String, Integer>> numbers, Set<String> names) {
    this.numbers = numbers;
    this.names = names;
  }

  static SyscallTable get() {
    return INSTANCE;
  }

  /** Whether any architecture of the kernel has a call of this name. */
  boolean knows(String name) {
    return names.contains(name);
  }

  /** The number as a filter sees it (for x32 with its bit); empty: not on this architecture. */
  OptionalInt number(Architecture architecture, String name) {
    Integer number = calls(architecture).get(name);
    return number == null ? OptionalInt.empty() : OptionalInt.of(number);
  }

  /** All calls of an architecture; empty for one without a table. */
  Map<String, Integer> calls(Architecture architecture) {
    return numbers.getOrDefault(architecture, Map.of());
  }

  private static SyscallTable load() {
    Map<Architecture, Map<String, Integer>> numbers = new EnumMap<>(Architecture.class);
    COLUMNS.forEach(architecture -> numbers.put(architecture, new HashMap<>()));
    Set<String> names = new HashSet<>();
    for (String line : resource("syscalls.txt")) {
      List<String> fields = List.of(line.split(" "));
      names.add(fields.getFirst());
      for (int i = 1; i < fields.size(); i++) {
        Architecture architecture = COLUMNS.get(i - 1);
        if (!fields.get(i).equals("-")) {
          int number = Integer.parseInt(fields.get(i));
          Objects.requireNonNull(numbers.get(architecture))
              .put(fields.getFirst(), architecture == Architecture.X32 ? number | X32_BIT : number);
        }
      }
    }
    return new SyscallTable(
        Collections.unmodifiableMap(numbers), Collections.unmodifiableSet(names));
  }

  /** Lines of a file beside this class, without comments and empty lines. */
  static List<String> resource(String name) {
    try (InputStream in =
            Objects.requireNonNull(SyscallTable.class.getResourceAsStream(name), name);
        BufferedReader reader =
            new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))) {
      return reader
          .lines()
          .map(line -> line.indexOf('#') < 0 ? line : line.substring(0, line.indexOf('#')))
          .map(String::strip)
          .filter(line -> !line.isEmpty())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(name, e);
    }
  }
}
