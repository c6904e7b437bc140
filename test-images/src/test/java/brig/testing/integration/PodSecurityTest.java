package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.proto.cri.Int64Value;
import brig.testing.proto.cri.LinuxContainerSecurityContext;
import brig.testing.proto.cri.SecurityProfile;
import brig.testing.proto.cri.SecurityProfile.ProfileType;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;

/** What a pod's securityContext says is what its processes have. */
@EachContainerd
class PodSecurityTest extends CriTest {

  private static final long CAP_NET_RAW = 1L << 13;
  private static final long CAP_CHOWN = 1L;
  private static final long CAP_SYS_PTRACE = 1L << 19;

  // Numbers of asm/unistd_64.h. The type of a socket is looked at before its family (net/socket.c).
  private static final int SOCKET = 41;
  private static final int GETSID = 124;
  private static final int KEYCTL = 250;
  private static final String DECNET = "12";
  private static final String NO_TYPE = "0x100";

  PodSecurityTest(Containerd containerd) {
    super(containerd);
  }

  private static PodContainer with(
      Pod pod, Consumer<LinuxContainerSecurityContext.Builder> change) {
    return pod.start(config -> {
      config.addAllCommand(List.of("sleep", "600"));
      change.accept(config.getLinuxBuilder().getSecurityContextBuilder());
    });
  }

  private PodContainer with(Consumer<LinuxContainerSecurityContext.Builder> change) {
    return with(pod(), change);
  }

  private static Int64Value number(long value) {
    return Int64Value.newBuilder().setValue(value).build();
  }

  @Test
  void userGroupAndSupplementalGroups() {
    PodContainer container =
        with(security ->
            security
                .setRunAsUser(number(1000))
                .setRunAsGroup(number(3000))
                // fsGroup is one of them.
                .addSupplementalGroups(2000)
                .addSupplementalGroups(65_000));
    assertThat(container.sh("id -u; id -g; id -G").split("\\s+"))
        .startsWith("1000", "3000")
        .contains("2000", "65000");
    assertThat(container.proc().capabilities("CapEff")).isZero();
  }

  @Test
  void aUsersNameIsLookedUpInTheImage() {
    PodContainer container = with(security -> security.setRunAsUsername("user"));
    assertThat(container.sh("id -u; id -G").split("\\s+")).startsWith("1000").contains("50");
  }

  @Test
  void aReadOnlyRootIsOne() {
    PodContainer container = with(security -> security.setReadonlyRootfs(true));
    assertThat(container.exec("touch", "/new").stderr()).contains("Read-only file system");
    assertThat(container.sh("echo x > /dev/shm/works; cat /dev/shm/works")).isEqualTo("x");
    assertThat(container.exec("sh", "-c", "echo x >> /etc/hosts").stderr())
        .contains("Read-only file system");
  }

  @Test
  void capabilitiesAreAddedAndDropped() {
    PodContainer plain = with(security -> {});
    assertThat(plain.proc().capabilities("CapEff") & CAP_CHOWN).isNotZero();
    assertThat(plain.proc().capabilities("CapEff") & CAP_SYS_PTRACE).isZero();
    assertThat(plain.proc().capabilities("CapAmb")).isZero();
    PodContainer changed =
        with(security ->
            security
                .getCapabilitiesBuilder()
                .addAddCapabilities("SYS_PTRACE")
                .addDropCapabilities("CHOWN"));
    for (String set : List.of("CapPrm", "CapEff", "CapBnd")) {
      long capabilities = changed.proc().capabilities(set);
      assertThat(capabilities & CAP_SYS_PTRACE).as(set).isNotZero();
      assertThat(capabilities & CAP_CHOWN).as(set).isZero();
    }
    PodContainer none =
        with(security -> security.getCapabilitiesBuilder().addDropCapabilities("ALL"));
    assertThat(none.proc().capabilities("CapBnd")).isZero();
    PodContainer all =
        with(security -> security.getCapabilitiesBuilder().addAddCapabilities("ALL"));
    assertThat(all.proc().capabilities("CapEff") & CAP_NET_RAW).isNotZero();
  }

  @Test
  void noNewPrivilegesHoldsWhereItIsAskedFor() {
    assertThat(with(security -> security.setNoNewPrivs(true)).proc().status("NoNewPrivs"))
        .isEqualTo("1");
  }

  @Test
  void seccompRuntimeDefaultIsContainerdsFilter() {
    PodContainer container =
        with(security -> security.setSeccomp(profile(ProfileType.RuntimeDefault)));
    assertThat(container.proc().status("Seccomp")).isEqualTo("2");
    assertThat(call(container, KEYCTL, "0", "-3")).isEqualTo("EPERM");
    // It lets the kernel answer where Brig's own says that it knows no such family.
    assertThat(call(container, SOCKET, DECNET, NO_TYPE)).isEqualTo("EINVAL");
  }

  @Test
  @OnlyBrig
  void noSeccompProfileIsBrigsOwnFilter() {
    for (PodContainer container :
        List.of(
            with(security -> {}),
            with(security -> security.setSeccomp(profile(ProfileType.Unconfined))))) {
      assertThat(call(container, KEYCTL, "0", "-3")).isEqualTo("EPERM");
      assertThat(call(container, SOCKET, DECNET, NO_TYPE)).isEqualTo("EAFNOSUPPORT");
    }
  }

  @Test
  void aSeccompProfileOfTheNodeIsTheOneThatIsLoaded() throws IOException {
    Path file = place("profile").resolve("seccomp.json");
    Files.writeString(
        file,
        """
        {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
         "syscalls": [{"names": ["getsid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 18}]}
        """);
    PodContainer container =
        with(security ->
            security.setSeccomp(profile(ProfileType.Localhost).setLocalhostRef(file.toString())));
    assertThat(call(container, GETSID, "0")).isEqualTo("EXDEV");
    assertThat(call(container, SOCKET, DECNET, NO_TYPE)).isEqualTo("EINVAL");
  }

  /** What a system call comes to: "ok", or its error's name. */
  private static String call(PodContainer container, int number, String... arguments) {
    String line = "brig-probe call " + number + " " + String.join(" ", arguments);
    return container.sh(line).split("\t")[1];
  }

  private static SecurityProfile.Builder profile(ProfileType type) {
    return SecurityProfile.newBuilder().setProfileType(type);
  }

  // A container that asks for no filter has Brig's own.
  @Test
  @OnlyBrig
  void noContainerRunsUnfiltered() {
    Pod pod = pod();
    assertThat(pod.proc().status("Seccomp")).isEqualTo("2");
    for (var type : List.of(ProfileType.Unconfined, ProfileType.RuntimeDefault)) {
      assertThat(with(pod, security -> security.setSeccomp(profile(type))).proc().status("Seccomp"))
          .isEqualTo("2");
    }
    assertThat(with(pod, security -> {}).proc().status("Seccomp")).isEqualTo("2");
  }

  @Test
  void anUnconfinedAppArmorProfileIsNoneOnAHostWithoutIt() {
    PodContainer container =
        with(security -> security.setApparmor(profile(ProfileType.Unconfined)));
    assertThat(container.sh("echo runs")).isEqualTo("runs");
  }

  @Test
  void sELinuxOptionsBreakNoPodOnAHostWithoutIt() {
    PodContainer container =
        with(security ->
            security
                .getSelinuxOptionsBuilder()
                .setUser("system_u")
                .setRole("system_r")
                .setType("container_t")
                .setLevel("s0:c1,c2"));
    assertThat(container.sh("echo runs")).isEqualTo("runs");
  }

  @Test
  void kubeletsMaskedAndReadOnlyPathsAreTaken() {
    PodContainer container =
        with(security ->
            security
                .addMaskedPaths("/proc/kcore")
                .addMaskedPaths("/proc/version")
                .addReadonlyPaths("/proc/sys")
                .addReadonlyPaths("/tmp"));
    assertThat(container.sh("cat /proc/version")).isEmpty();
    assertThat(container.exec("touch", "/tmp/x").stderr()).contains("Read-only file system");
  }

  @Test
  void aPodsOwnSysctlsAreSet() {
    Pod pod =
        pod(config ->
            config
                .getLinuxBuilder()
                .putSysctls("net.ipv4.tcp_syncookies", "0")
                .putSysctls("kernel.shm_rmid_forced", "1")
                .putSysctls("net.core.somaxconn", "777"));
    PodContainer container = pod.sleeping();
    assertThat(container.sh("cat /proc/sys/net/ipv4/tcp_syncookies")).isEqualTo("0");
    assertThat(container.sh("cat /proc/sys/kernel/shm_rmid_forced")).isEqualTo("1");
    assertThat(container.sh("cat /proc/sys/net/core/somaxconn")).isEqualTo("777");
  }

  @Test
  @OnlyBrig
  void aSysctlOfTheWholeNodeIsRefusedByName() {
    assertThat(
            Refusals.words(
                () -> pod(config -> config.getLinuxBuilder().putSysctls("vm.swappiness", "1"))))
        .contains("vm.swappiness");
  }
}
