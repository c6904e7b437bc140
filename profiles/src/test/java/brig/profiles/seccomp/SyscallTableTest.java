package brig.profiles.seccomp;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;

final class SyscallTableTest {
  private final SyscallTable table = SyscallTable.get();

  @Test
  void everyNameThatLibseccompKnowsIsKnown() {
    assertThat(Libseccomp.names()).hasSizeGreaterThan(400).allMatch(table::knows);
  }

  @Test
  void numbersAreLibseccomps() {
    for (Architecture architecture :
        List.of(
            Architecture.X86_64,
            Architecture.X86,
            Architecture.X32,
            Architecture.AARCH64,
            Architecture.ARM)) {
      int compared = 0;
      for (String name : table.calls(architecture).keySet()) {
        OptionalInt theirs = Libseccomp.number(architecture, name);
        if (theirs.isPresent() && theirs.getAsInt() >= 0) {
          assertThat(table.number(architecture, name)).as(name).isEqualTo(theirs);
          compared++;
        }
      }
      assertThat(compared).as(architecture.name()).isGreaterThan(250);
    }
  }

  @Test
  void callsNewerThanLibseccompAreThere() {
    assertThat(table.number(Architecture.X86_64, "statmount")).hasValue(457);
    assertThat(table.number(Architecture.X86_64, "open_tree_attr")).hasValue(467);
    assertThat(table.number(Architecture.AARCH64, "mseal")).hasValue(462);
  }
}
