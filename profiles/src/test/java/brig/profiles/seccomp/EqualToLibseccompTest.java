package brig.profiles.seccomp;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import java.util.TreeSet;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/**
 * Our programs and libseccomp's answer alike, run side by side over all numbers, every architecture
 * and the arguments around every compared value. Where runc puts its own stub for newer calls
 * before libseccomp's program, ENOSYS is expected.
 */
final class EqualToLibseccompTest {
  private static final int ENOSYS = 0x00050000 | 38;

  private final SeccompFilters filters = new SeccompFilters();

  @Test
  void theProfileThatContainerdSends() throws SeccompException {
    SeccompProfile profile = RecordedProfile.read("containerd-default.txt");
    assertThat(profile.syscalls()).hasSizeGreaterThan(5);
    same(profile);
  }

  @Test
  void aProfileThatPermitsByDefault() throws SeccompException {
    same(
        profile(
            Action.ALLOW,
            List.of(Architecture.X86_64, Architecture.X86),
            rule(Action.ERRNO, List.of("mount", "umount2", "socket", "semop")),
            rule(
                Action.KILL_PROCESS,
                List.of("ioctl"),
                new ArgumentRule(1, 0xffffffffL, 0x5412, Operator.MASKED_EQ)),
            rule(Action.TRAP, List.of("clone"), new ArgumentRule(0, 0, 0, Operator.GT)),
            rule(Action.LOG, List.of("clone"), new ArgumentRule(0, 0, 0, Operator.EQ))));
  }

  @Test
  void conditionsOnOneArgumentAreAlternatives() throws SeccompException {
    same(
        profile(
            Action.ERRNO,
            List.of(Architecture.X86_64),
            rule(
                Action.ALLOW,
                List.of("personality"),
                new ArgumentRule(0, 0, 0, Operator.EQ),
                new ArgumentRule(0, 8, 0, Operator.EQ),
                new ArgumentRule(1, 5, 0, Operator.LE))));
  }

  @Test
  void theFirstUnconditionalRuleWins() throws SeccompException {
    same(
        profile(
            Action.ERRNO,
            List.of(Architecture.X86_64, Architecture.X86, Architecture.X32),
            rule(Action.KILL, List.of("dup"), new ArgumentRule(0, 7, 0, Operator.EQ)),
            rule(Action.ALLOW, List.of("dup", "bind")),
            rule(Action.TRAP, List.of("dup", "bind")),
            rule(Action.ERRNO, List.of("read")),
            rule(Action.LOG, List.of("read"), new ArgumentRule(0, 7, 0, Operator.NE))));
  }

  @Property(tries = 300)
  void anyProfile(@ForAll("profiles") SeccompProfile profile) throws SeccompException {
    same(profile);
  }

  @Provide
  Arbitrary<SeccompProfile> profiles() {
    // One answer per name: what libseccomp does with conditions that overlap and differ in their
    // answer depends on the order of its internal tree.
    Arbitrary<List<SyscallRule>> rules =
        Arbitraries.of(
                "read", "write", "open", "socket", "ioctl", "personality", "clone", "mmap", "kill")
            .list()
            .uniqueElements()
            .ofMaxSize(9)
            .flatMap(names ->
                Combinators.combine(names.stream().map(this::rulesOfOneName).toList())
                    .as(lists -> lists.stream().flatMap(List::stream).toList()));
    Arbitrary<List<Architecture>> architectures =
        Arbitraries.of(Architecture.X86_64, Architecture.X86, Architecture.X32)
            .list()
            .uniqueElements();
    Arbitrary<Action> byDefault =
        Arbitraries.of(Action.ALLOW, Action.ERRNO, Action.KILL, Action.LOG, Action.TRAP);
    return Combinators.combine(byDefault, architectures, rules)
        .as((action, archs, all) ->
            new SeccompProfile(action, OptionalInt.empty(), archs, Set.of(), "", "", all));
  }

  private Arbitrary<List<SyscallRule>> rulesOfOneName(String name) {
    // Arguments of i386's socketcall lie behind a pointer: see Translation.
    Arbitrary<List<ArgumentRule>> conditions =
        name.equals("socket")
            ? Arbitraries.just(List.of())
            : condition().list().ofMaxSize(3).filter(this::oneOfEachArgument);
    Arbitrary<Action> action =
        Arbitraries.of(Action.ALLOW, Action.TRACE, Action.KILL_PROCESS, Action.ERRNO);
    return Combinators.combine(action, conditions.list().ofMinSize(1).ofMaxSize(1))
        .as((answer, all) ->
            all.stream()
                .map(c -> new SyscallRule(List.of(name), answer, OptionalInt.of(13), c))
                .toList());
  }

  private boolean oneOfEachArgument(List<ArgumentRule> conditions) {
    return conditions.stream().map(ArgumentRule::index).distinct().count() == conditions.size();
  }

  private Arbitrary<ArgumentRule> condition() {
    Arbitrary<Long> value =
        Arbitraries.of(
            0L,
            1L,
            5L,
            0x5412L,
            0x7e020000L,
            0xffffffffL,
            0x100000000L,
            0x500000007L,
            -1L,
            Long.MIN_VALUE);
    return Combinators.combine(
            Arbitraries.integers().between(0, 5), value, value, Arbitraries.of(Operator.class))
        .as(ArgumentRule::new);
  }

  private void same(SeccompProfile profile) throws SeccompException {
    BpfMachine theirs = Libseccomp.compile(profile);
    BpfMachine ours = new BpfMachine(filters.compile(profile, Machine.X86_64).program());
    Set<Architecture> listed = new LinkedHashSet<>(profile.architectures());
    listed.add(Architecture.X86_64);
    List<long[]> arguments = arguments(profile);
    for (Architecture architecture :
        List.of(Architecture.X86_64, Architecture.X86, Architecture.X32, Architecture.ARM)) {
      int arch = Machine.auditArch(architecture);
      boolean wide = architecture == Architecture.X86_64;
      for (int number : numbers(architecture)) {
        boolean stub = newerThanTheProfile(profile, listed, architecture, number);
        for (long[] args : arguments) {
          long[] seen = wide ? args : narrowed(args);
          int expected = stub ? ENOSYS : theirs.run(arch, number, seen);
          int answer = ours.run(arch, number, seen);
          if (answer != expected) {
            assertThat(Integer.toHexString(answer))
                .as("%s %s %x", architecture, List.of(number, profile), seen[0])
                .isEqualTo(Integer.toHexString(expected));
          }
        }
      }
    }
  }

  private static long[] narrowed(long[] args) {
    long[] low = new long[args.length];
    for (int i = 0; i < args.length; i++) {
      low[i] = args[i] & 0xffffffffL;
    }
    return low;
  }

  private static List<Integer> numbers(Architecture architecture) {
    List<Integer> numbers = new ArrayList<>();
    int bit = architecture == Architecture.X32 ? SyscallTable.X32_BIT : 0;
    for (int number = 0; number < 600; number++) {
      numbers.add(bit | number);
    }
    numbers.addAll(List.of(bit | 0xf0002, bit | 0x3fffffff, bit | 5000));
    if (architecture == Architecture.X32) {
      numbers.addAll(List.of(-1, -2, 0x80000000));
    }
    return numbers;
  }

  /** Whether runc's stub answers before libseccomp's program is reached. */
  private static boolean newerThanTheProfile(
      SeccompProfile profile, Set<Architecture> listed, Architecture architecture, int number) {
    boolean permissive =
        switch (profile.defaultAction()) {
          case ALLOW, LOG, TRACE -> true;
          case KILL, KILL_THREAD, KILL_PROCESS, TRAP, ERRNO, NOTIFY -> false;
        };
    if (permissive || architecture == Architecture.ARM) {
      return false;
    }
    Architecture table = architecture;
    if (architecture == Architecture.X32 && !listed.contains(Architecture.X32)) {
      table = Architecture.X86_64;
    } else if (!listed.contains(architecture)) {
      return false;
    }
    int newest = -1;
    for (SyscallRule rule : profile.syscalls()) {
      for (String name : rule.names()) {
        newest = Math.max(newest, SyscallTable.get().number(table, name).orElse(-1));
      }
    }
    return newest >= 0 && Integer.compareUnsigned(number, newest) > 0;
  }

  /** Sets of arguments around every value that is compared with. */
  private static List<long[]> arguments(SeccompProfile profile) {
    Set<Long> values = new TreeSet<>(List.of(0L, 1L, -1L));
    for (SyscallRule rule : profile.syscalls()) {
      for (ArgumentRule condition : rule.arguments()) {
        for (long value : List.of(condition.value(), condition.valueTwo())) {
          values.addAll(
              List.of(
                  value, value - 1, value + 1, value ^ (1L << 32), value ^ Long.MIN_VALUE, ~value));
          values.add(condition.value() & condition.valueTwo());
        }
      }
    }
    List<Long> all = List.copyOf(values);
    List<long[]> sets = new ArrayList<>();
    for (int i = 0; i < all.size(); i++) {
      long value = all.get(i);
      long other = all.get((i + 1) % all.size());
      sets.add(new long[] {value, value, value, value, value, value});
      sets.add(new long[] {value, other, value, other, value, other});
      sets.add(new long[] {other, value, value, other, other, value});
    }
    return sets;
  }

  static SyscallRule rule(Action action, List<String> names, ArgumentRule... arguments) {
    return new SyscallRule(names, action, OptionalInt.empty(), List.of(arguments));
  }

  static SeccompProfile profile(
      Action byDefault, List<Architecture> architectures, SyscallRule... rules) {
    return new SeccompProfile(
        byDefault, OptionalInt.empty(), architectures, Set.of(), "", "", List.of(rules));
  }
}
