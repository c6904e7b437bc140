package brig.profiles.seccomp;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.invoke.MethodHandle;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** libseccomp's own compiler, asked in the way that runc asks it. */
final class Libseccomp {
  private static final Linker LINKER = Linker.nativeLinker();
  private static final SymbolLookup LIBRARY =
      SymbolLookup.libraryLookup("libseccomp.so.2", Arena.global());
  private static final MethodHandle INIT = handle("seccomp_init", ADDRESS, JAVA_INT);
  private static final MethodHandle RELEASE =
      LINKER.downcallHandle(symbol("seccomp_release"), FunctionDescriptor.ofVoid(ADDRESS));
  private static final MethodHandle ARCH_ADD =
      handle("seccomp_arch_add", JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle ATTR_SET =
      handle("seccomp_attr_set", JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT);
  private static final MethodHandle RULE_ADD =
      handle("seccomp_rule_add_array", JAVA_INT, ADDRESS, JAVA_INT, JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle RESOLVE =
      handle("seccomp_syscall_resolve_name", JAVA_INT, ADDRESS);
  private static final MethodHandle RESOLVE_ARCH =
      handle("seccomp_syscall_resolve_name_arch", JAVA_INT, JAVA_INT, ADDRESS);
  private static final MethodHandle NAME =
      handle("seccomp_syscall_resolve_num_arch", ADDRESS, JAVA_INT, JAVA_INT);
  private static final MethodHandle EXPORT =
      handle("seccomp_export_bpf", JAVA_INT, ADDRESS, JAVA_INT);
  private static final MethodHandle CREAT =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("creat").orElseThrow(),
          FunctionDescriptor.of(JAVA_INT, ADDRESS, JAVA_INT));
  private static final MethodHandle CLOSE =
      LINKER.downcallHandle(
          LINKER.defaultLookup().find("close").orElseThrow(),
          FunctionDescriptor.of(JAVA_INT, JAVA_INT));

  /** SCMP_FLTATR_ACT_BADARCH, SCMP_FLTATR_CTL_OPTIMIZE of seccomp.h. */
  private static final int ACT_BADARCH = 2;

  private static final int EEXIST = 17;
  private static final int SCMP_ERROR = -1;

  private Libseccomp() {}

  /** SCMP_ARCH_* of seccomp.h. */
  static int token(Architecture architecture) {
    // X32 has a token of its own there: that of x86_64 without the bit for 64-bit words.
    return architecture == Architecture.X32 ? 0x4000_003e : Machine.auditArch(architecture);
  }

  /** The number on this architecture; negative numbers are names that it lacks. */
  static OptionalInt number(Architecture architecture, String name) {
    try (Arena arena = Arena.ofConfined()) {
      int number = (int) RESOLVE_ARCH.invokeExact(token(architecture), arena.allocateFrom(name));
      return number == SCMP_ERROR ? OptionalInt.empty() : OptionalInt.of(number);
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Every name it knows, on any architecture that we have a table of. */
  static Set<String> names() {
    Set<String> names = new LinkedHashSet<>();
    for (Architecture architecture : Machine.X86_64.natives()) {
      for (int number = 0; number < 1024; number++) {
        int bit = architecture == Architecture.X32 ? SyscallTable.X32_BIT : 0;
        name(architecture, number | bit).ifPresent(names::add);
      }
    }
    for (int number = -20000; number < 0; number++) {
      name(Architecture.X86_64, number).ifPresent(names::add);
    }
    for (int number = 0; number < 512; number++) {
      name(Architecture.AARCH64, number).ifPresent(names::add);
      name(Architecture.ARM, number).ifPresent(names::add);
    }
    return names;
  }

  private static Optional<String> name(Architecture architecture, int number) {
    try {
      MemorySegment name = (MemorySegment) NAME.invokeExact(token(architecture), number);
      return name.address() == 0
          ? Optional.empty()
          : Optional.of(name.reinterpret(Long.MAX_VALUE).getString(0));
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  static BpfMachine compile(SeccompProfile profile) {
    int byDefault = Translation.answer(profile.defaultAction(), profile.defaultErrno());
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment filter = (MemorySegment) INIT.invokeExact(byDefault);
      try {
        check((int) ATTR_SET.invokeExact(filter, ACT_BADARCH, Action.KILL_PROCESS.number()));
        for (Architecture architecture : profile.architectures()) {
          int result = (int) ARCH_ADD.invokeExact(filter, token(architecture));
          if (result != -EEXIST) {
            check(result);
          }
        }
        for (SyscallRule rule : profile.syscalls()) {
          int answer = Translation.answer(rule.action(), rule.errno());
          if (answer == byDefault) {
            continue;
          }
          for (String name : rule.names()) {
            int number = (int) RESOLVE.invokeExact(arena.allocateFrom(name));
            if (number == SCMP_ERROR) {
              throw new IllegalArgumentException("libseccomp doesn't know " + name);
            }
            for (List<ArgumentRule> conditions : alternatives(rule.arguments())) {
              MemorySegment array = conditions(arena, conditions);
              int result =
                  (int) RULE_ADD.invokeExact(filter, answer, number, conditions.size(), array);
              if (result != -EEXIST) {
                check(result);
              }
            }
          }
        }
        return new BpfMachine(export(arena, filter));
      } finally {
        RELEASE.invokeExact(filter);
      }
    } catch (RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new AssertionError(e);
    }
  }

  /** Two conditions on one argument can't stand in one rule there. */
  private static List<List<ArgumentRule>> alternatives(List<ArgumentRule> conditions) {
    if (conditions.stream().map(ArgumentRule::index).distinct().count() == conditions.size()) {
      return List.of(conditions);
    }
    List<List<ArgumentRule>> all = new ArrayList<>();
    conditions.forEach(condition -> all.add(List.of(condition)));
    return all;
  }

  private static MemorySegment conditions(Arena arena, List<ArgumentRule> conditions) {
    MemorySegment array = arena.allocate(24L * Math.max(1, conditions.size()), 8);
    for (int i = 0; i < conditions.size(); i++) {
      ArgumentRule condition = conditions.get(i);
      array.set(JAVA_INT, 24L * i, condition.index());
      array.set(JAVA_INT, 24L * i + 4, condition.operator().ordinal() + 1);
      array.set(JAVA_LONG, 24L * i + 8, condition.value());
      array.set(JAVA_LONG, 24L * i + 16, condition.valueTwo());
    }
    return array;
  }

  private static byte[] export(Arena arena, MemorySegment filter) throws Throwable {
    Path file = Files.createTempFile("seccomp", ".bpf");
    try {
      int fd = (int) CREAT.invokeExact(arena.allocateFrom(file.toString()), 0600);
      check((int) EXPORT.invokeExact(filter, fd));
      check((int) CLOSE.invokeExact(fd));
      return Files.readAllBytes(file);
    } finally {
      Files.delete(file);
    }
  }

  private static void check(int result) throws IOException {
    if (result < 0) {
      throw new IOException("libseccomp answers " + result);
    }
  }

  private static MemorySegment symbol(String name) {
    return LIBRARY.find(name).orElseThrow();
  }

  private static MethodHandle handle(
      String name,
      java.lang.foreign.MemoryLayout result,
      java.lang.foreign.MemoryLayout... arguments) {
    return LINKER.downcallHandle(symbol(name), FunctionDescriptor.of(result, arguments));
  }
}
