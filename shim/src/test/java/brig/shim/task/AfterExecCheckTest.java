package brig.shim.task;

import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.AfterExec;
import brig.proto.plan.Capabilities;
import brig.proto.plan.Process;
import brig.proto.plan.SeccompFilter;
import brig.sandbox.BrigException;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

/** What the kernel says after execve is held against the plan, and no honest program is. */
class AfterExecCheckTest {
  private static final String HERE = "user:[4026532000]";
  private static final long PLANNED = 0xa80425fbL;
  private static final long SYS_ADMIN = 1L << 21;

  private static Process process(boolean noNewPrivileges) {
    return Process.newBuilder()
        .setCapabilities(
            Capabilities.newBuilder()
                .setBounding(PLANNED | 1L << 12)
                .setPermitted(PLANNED)
                .setEffective(PLANNED))
        .setNoNewPrivileges(noNewPrivileges)
        .addSeccomp(SeccompFilter.getDefaultInstance())
        .build();
  }

  private static AfterExec after(long bounding, long permitted, long effective) {
    return AfterExec.newBuilder()
        .setStatus(
            String.format(
                "Name:\tx%nCapInh:\t%016x%nCapPrm:\t%016x%nCapEff:\t%016x%nCapBnd:\t%016x%n"
                    + "CapAmb:\t%016x%nNoNewPrivs:\t1%nSeccomp:\t2%n",
                0, permitted, effective, bounding, 0))
        .setUserNamespace(HERE)
        .build();
  }

  private static void compare(AfterExec after, Process process) throws BrigException {
    AfterExecCheck.compare("c1", after, process, HERE);
  }

  private static void isRefused(AfterExec after, Process process, String... words) {
    assertThatThrownBy(() -> compare(after, process))
        .isInstanceOf(BrigException.class)
        .hasMessageContaining("read back: c1")
        .hasMessageContainingAll(words);
  }

  @Property
  void whateverTheProgramHasGivenUpByThenIsFine(
      @ForAll long bounding, @ForAll long permitted, @ForAll long effective) {
    AfterExec reduced = after(bounding & PLANNED, permitted & PLANNED, effective & PLANNED);
    assertThatCode(() -> compare(reduced, process(true))).doesNotThrowAnyException();
  }

  @Test
  void aCapabilityBeyondThePlanIsRefusedInEverySet() {
    isRefused(after(PLANNED | SYS_ADMIN, PLANNED, PLANNED), process(true), "CapBnd is");
    isRefused(after(PLANNED, PLANNED | SYS_ADMIN, PLANNED), process(true), "CapPrm is");
    isRefused(after(PLANNED, PLANNED, PLANNED | SYS_ADMIN), process(true), "CapEff is");
  }

  @Test
  void aRootProgramGetsWhatTheBoundingSetLeavesUnlessNoNewPrivilegesForbidsIt() {
    long gained = PLANNED | 1L << 12;
    assertThatCode(() -> compare(after(gained, gained, gained), process(false)))
        .doesNotThrowAnyException();
    isRefused(after(gained, gained, gained), process(true), "CapPrm is");
  }

  @Test
  void capabilitiesInAUserNamespaceOfTheProgramsOwnSayNothing() {
    AfterExec moved =
        after(-1L, -1L, -1L).toBuilder().setUserNamespace("user:[4026539999]").build();
    assertThatCode(() -> compare(moved, process(true))).doesNotThrowAnyException();
  }

  @Test
  void whatCanNotBeUndoneMustBeThere() {
    AfterExec good = after(PLANNED, PLANNED, PLANNED);
    isRefused(
        good.toBuilder().setStatus(good.getStatus().replace("Privs:\t1", "Privs:\t0")).build(),
        process(true),
        "NoNewPrivs is 0, not 1");
    isRefused(
        good.toBuilder().setStatus(good.getStatus().replace("comp:\t2", "comp:\t0")).build(),
        process(true),
        "Seccomp is 0, not 2");
    isRefused(good.toBuilder().setStatus("").build(), process(true), "CapBnd is not told");
  }

  @Test
  void aProgramThatItsFilterHasKilledByThenHadOne() {
    AfterExec good = after(PLANNED, PLANNED, PLANNED);
    AfterExec killed =
        good.toBuilder().setStatus(good.getStatus().replace("comp:\t2", "comp:\t3")).build();
    assertThatCode(() -> compare(killed, process(true))).doesNotThrowAnyException();
  }

  @Test
  void theLabelIsThePlans() {
    Process labelled = process(true).toBuilder().setApparmorProfile("brig-default").build();
    AfterExec good = after(PLANNED, PLANNED, PLANNED);
    assertThatCode(
            () -> compare(good.toBuilder().setLabel("brig-default (enforce)").build(), labelled))
        .doesNotThrowAnyException();
    isRefused(
        good.toBuilder().setLabel("unconfined").build(),
        labelled,
        "the label is unconfined, not brig-default");
    isRefused(good, labelled, "the label is not told");
    Process selinux =
        process(true).toBuilder().setSelinuxLabel("system_u:system_r:container_t:s0:c1").build();
    assertThatCode(() ->
            compare(
                good.toBuilder().setLabel("system_u:system_r:container_t:s0:c1").build(), selinux))
        .doesNotThrowAnyException();
  }
}
