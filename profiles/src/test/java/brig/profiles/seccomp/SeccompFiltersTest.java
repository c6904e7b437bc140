package brig.profiles.seccomp;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.OptionalInt;
import java.util.Set;
import org.junit.jupiter.api.Test;

final class SeccompFiltersTest {
  private final SeccompFilters filters = new SeccompFilters();

  private static SeccompProfile with(Action byDefault, String listener, SyscallRule... rules) {
    return new SeccompProfile(
        byDefault,
        OptionalInt.empty(),
        List.of(),
        Set.of(FilterFlag.TSYNC, FilterFlag.LOG),
        listener,
        "",
        List.of(rules));
  }

  private static SyscallRule rule(Action action, String... names) {
    return EqualToLibseccompTest.rule(action, List.of(names));
  }

  @Test
  void theSameProfileIsCompiledOnce() throws SeccompException {
    CompiledFilter first =
        filters.compile(with(Action.ERRNO, "", rule(Action.ALLOW, "read")), Machine.X86_64);
    CompiledFilter again =
        filters.compile(with(Action.ERRNO, "", rule(Action.ALLOW, "read")), Machine.X86_64);
    CompiledFilter other =
        filters.compile(with(Action.ERRNO, "", rule(Action.ALLOW, "write")), Machine.X86_64);
    assertThat(again).isSameAs(first);
    assertThat(other.digest()).isNotEqualTo(first.digest());
    assertThat(first.flags()).isEqualTo(2);
  }

  @Test
  void aNotifyRuleReachesTheAgent() throws SeccompException {
    BpfMachine program =
        new BpfMachine(
            filters
                .compile(
                    with(Action.ALLOW, "/run/agent.sock", rule(Action.NOTIFY, "mkdir")),
                    Machine.X86_64)
                .program());
    assertThat(program.run(Machine.auditArch(Architecture.X86_64), 83)).isEqualTo(0x7fc00000);
  }

  @Test
  void whatCannotWorkIsRefusedByName() {
    assertThatThrownBy(
            () -> filters.compile(with(Action.NOTIFY, "/run/agent.sock"), Machine.X86_64))
        .hasMessageContaining("defaultAction");
    assertThatThrownBy(() ->
            filters.compile(with(Action.ALLOW, "", rule(Action.NOTIFY, "mkdir")), Machine.X86_64))
        .hasMessageContaining("mkdir: SCMP_ACT_NOTIFY needs a listenerPath");
    assertThatThrownBy(() ->
            filters.compile(with(Action.ALLOW, "/s", rule(Action.NOTIFY, "write")), Machine.X86_64))
        .hasMessageContaining("write: can't be SCMP_ACT_NOTIFY");
  }

  @Test
  void namesTimesConditionsAreBounded() {
    SyscallRule rule =
        new SyscallRule(
            Collections.nCopies(20_000, "read"),
            Action.ALLOW,
            OptionalInt.empty(),
            Collections.nCopies(20_000, new ArgumentRule(0, 1, 0, Operator.EQ)));
    assertThatThrownBy(() -> filters.compile(with(Action.ERRNO, "", rule), Machine.X86_64))
        .hasMessageContaining("syscalls: has more argument conditions than");
  }

  @Test
  void anUnknownCallCannotBeForbiddenButMayBePermitted() throws SeccompException {
    assertThatThrownBy(() ->
            filters.compile(
                with(Action.ALLOW, "", rule(Action.ERRNO, "frobnicate")), Machine.X86_64))
        .hasMessageContaining("frobnicate: is no system call that Brig knows");
    assertThat(
            filters
                .compile(with(Action.ERRNO, "", rule(Action.ALLOW, "frobnicate")), Machine.X86_64)
                .notes())
        .singleElement()
        .asString()
        .contains("frobnicate");
  }

  @Test
  void theStrictestOfOverlappingConditionsCounts() throws SeccompException {
    ArgumentRule below10 = new ArgumentRule(0, 10, 0, Operator.LT);
    ArgumentRule below5 = new ArgumentRule(0, 5, 0, Operator.LT);
    SyscallRule allow = EqualToLibseccompTest.rule(Action.ALLOW, List.of("dup"), below10);
    SyscallRule kill = EqualToLibseccompTest.rule(Action.KILL_PROCESS, List.of("dup"), below5);
    for (SeccompProfile profile :
        List.of(with(Action.ERRNO, "", allow, kill), with(Action.ERRNO, "", kill, allow))) {
      BpfMachine program = new BpfMachine(filters.compile(profile, Machine.X86_64).program());
      int arch = Machine.auditArch(Architecture.X86_64);
      assertThat(program.run(arch, 32, 4)).isEqualTo(0x80000000);
      assertThat(program.run(arch, 32, 7)).isEqualTo(0x7fff0000);
      assertThat(program.run(arch, 32, 10)).isEqualTo(0x00050001);
    }
  }

  @Test
  void conditionsOnSocketsForbidI386sMultiplexerWholly() throws SeccompException {
    ArgumentRule vsock = new ArgumentRule(0, 40, 0, Operator.EQ);
    SeccompProfile profile =
        EqualToLibseccompTest.profile(
            Action.ALLOW,
            List.of(Architecture.X86),
            EqualToLibseccompTest.rule(Action.ERRNO, List.of("socket"), vsock));
    BpfMachine program = new BpfMachine(filters.compile(profile, Machine.X86_64).program());
    int arch = Machine.auditArch(Architecture.X86);
    assertThat(program.run(arch, 359, 40)).isEqualTo(0x00050001);
    assertThat(program.run(arch, 359, 1)).isEqualTo(0x7fff0000);
    assertThat(program.run(arch, 102, 1)).isEqualTo(0x00050001);
    assertThat(program.run(arch, 102, 3)).isEqualTo(0x7fff0000);
  }

  @Test
  void aProgramBeyondTheKernelsLimitIsRefused() {
    List<SyscallRule> rules = new ArrayList<>();
    for (long value = 0; value < 2000; value++) {
      rules.add(
          EqualToLibseccompTest.rule(
              Action.ALLOW, List.of("ioctl"), new ArgumentRule(1, value, 0, Operator.EQ)));
    }
    assertThatThrownBy(() ->
            filters.compile(
                with(Action.ERRNO, "", rules.toArray(new SyscallRule[0])), Machine.X86_64))
        .hasMessageContaining("more than the kernel's 4096");
  }
}
