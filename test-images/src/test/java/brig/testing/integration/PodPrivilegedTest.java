package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Proc;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Privileged pods, as network plugins and storage drivers are: every wish, behind the wall. */
@EachContainerd
@OnlyBrig
class PodPrivilegedTest extends CriTest {

  private static final long CAP_SYS_ADMIN = 1L << 21;

  PodPrivilegedTest(Containerd containerd) {
    super(containerd);
  }

  private Pod privileged() {
    return pod(config -> config.getLinuxBuilder().getSecurityContextBuilder().setPrivileged(true));
  }

  private static PodContainer start(Pod pod) {
    return pod.start(config -> {
      config.addAllCommand(List.of("sleep", "600"));
      config.getLinuxBuilder().getSecurityContextBuilder().setPrivileged(true);
    });
  }

  @Test
  void everyCapabilityHoldsInItsOwnUserNamespaceAlone() {
    PodContainer container = start(privileged());
    Proc init = container.proc();
    assertThat(init.capabilities("CapEff") & CAP_SYS_ADMIN).isNotZero();
    assertThat(init.capabilities("CapEff")).isEqualTo(init.capabilities("CapBnd"));
    assertThat(init.sharesWithHost("user")).isFalse();
    assertThat(init.uidMap().getFirst().outside()).isGreaterThan(65_535);
    assertThat(init.status("Seccomp")).isEqualTo("2");
    // What they are good for: mounts of its own.
    assertThat(container.sh("mount -t tmpfs mine /mnt && stat -f -c %T /mnt")).isEqualTo("tmpfs");
    assertThat(container.sh("cat /sys/fs/cgroup/memory/cgroup.procs")).contains("1");
  }

  /** The kubelet's user has asked for just that: docs/install.md warns of it. */
  @Test
  void theHostsDevicesOpen() {
    assertThat(start(privileged()).sh("exec 3< /dev/fuse && echo open")).isEqualTo("open");
    assertThat(pod().sleeping().exec("ls", "/dev/fuse").status()).isNotZero();
  }

  @Test
  void theHostsSettingsLogAndLimitsStayClosed() {
    PodContainer container = start(privileged());
    isRefused(container, "head -c 1 /dev/kmsg");
    isRefused(container, "mknod /tmp/memory c 1 1");
    isRefused(container, "dmesg");
    isRefused(container, "echo x > /proc/sys/kernel/core_pattern");
    isRefused(container, "echo 0 > /proc/sys/vm/overcommit_memory");
    isRefused(container, "echo 0 > /sys/kernel/mm/ksm/run");
    isRefused(container, "echo -1 > /sys/fs/cgroup/memory/memory.limit_in_bytes");
  }

  private static void isRefused(PodContainer container, String script) {
    PodContainer.Ran ran = container.exec("sh", "-c", script);
    assertThat(ran.status()).as(script).isNotZero();
    assertThat(ran.stderr())
        .as(script)
        .containsAnyOf("Operation not permitted", "Permission denied", "Read-only file system");
  }
}
