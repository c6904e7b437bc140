package brig.testing.integration;

import static brig.testing.cri.CriClient.namespaces;
import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import brig.testing.proto.cri.NamespaceMode;
import brig.testing.proto.cri.PodSandboxState;
import java.io.IOException;
import java.nio.file.Files;
import java.util.List;
import org.junit.jupiter.api.Test;

/** The shape of a pod as kubelet makes it through CRI: which processes, what they share. */
@EachContainerd
class PodTest extends CriTest {

  PodTest(Containerd containerd) {
    super(containerd);
  }

  @Test
  void theContainersOfAPodHaveOneKeeper() {
    Pod pod = pod();
    PodContainer first = pod.sleeping();
    PodContainer second = pod.sleeping();
    int keeper = Processes.parent(pod.proc().pid());
    assertThat(Processes.commandLine(keeper)).contains(containerd.address().toString());
    assertThat(Processes.parent(first.proc().pid())).isEqualTo(keeper);
    assertThat(Processes.parent(second.proc().pid())).isEqualTo(keeper);
    assertThat(Processes.parent(pod().proc().pid())).isNotEqualTo(keeper);
  }

  @Test
  void aPodSharesNetworkIpcAndNameAndKeepsProcessesApart() {
    Pod pod = pod();
    Proc pause = pod.proc();
    Proc first = pod.sleeping().proc();
    Proc second = pod.sleeping().proc();
    for (String shared : List.of("net", "ipc", "uts")) {
      assertThat(first.namespace(shared)).as(shared).isEqualTo(pause.namespace(shared));
      assertThat(second.namespace(shared)).as(shared).isEqualTo(pause.namespace(shared));
      assertThat(first.sharesWithHost(shared)).as(shared).isFalse();
    }
    for (String own : List.of("pid", "mnt")) {
      assertThat(List.of(first.namespace(own), second.namespace(own), pause.namespace(own)))
          .as(own)
          .doesNotHaveDuplicates();
    }
  }

  @Test
  @OnlyBrig
  void aPodHasOneUserNamespaceAndOneRange() {
    Pod pod = pod();
    Proc first = pod.sleeping().proc();
    Proc second = pod.sleeping().proc();
    assertThat(first.namespace("user")).isEqualTo(pod.proc().namespace("user"));
    assertThat(second.namespace("user")).isEqualTo(first.namespace("user"));
    assertThat(first.sharesWithHost("user")).isFalse();
    assertThat(first.uidMap()).isEqualTo(second.uidMap());
    assertThat(pod().proc().uidMap().getFirst().overlaps(first.uidMap().getFirst())).isFalse();
  }

  @Test
  void sharedProcessesSeeEachOther() {
    Pod pod = pod(config -> namespaces(config).setPid(NamespaceMode.POD));
    PodContainer first = pod.sleeping();
    PodContainer second = pod.start("sleep", "601");
    assertThat(first.proc().namespace("pid")).isEqualTo(pod.proc().namespace("pid"));
    assertThat(first.sh("ps -o args")).contains("/pause").contains("sleep 601");
    first.sh(
        "kill -9 $(pidof sleep | tr ' ' '\\n' | while read p; do "
            + "grep -q 601 /proc/$p/cmdline && echo $p; done)");
    assertThat(second.ended().getExitCode()).isEqualTo(137);
  }

  @Test
  void orphansOfSharedProcessesAreReapedByPause() {
    Pod pod = pod(config -> namespaces(config).setPid(NamespaceMode.POD));
    PodContainer container = pod.start("sh", "-c", "(sleep 600 & echo $! > /orphan); sleep 600");
    Eventually.holds(
        "it is an orphan",
        () -> container.sh("cut -d ' ' -f 4 /proc/$(cat /orphan)/stat").equals("1"),
        () -> container.sh("ps -o pid,ppid,args"));
    container.sh("kill -9 $(cat /orphan)");
    // One that nobody has reaped keeps its place in /proc.
    Eventually.holds(
        "it is gone",
        () -> container.exec("sh", "-c", "test -e /proc/$(cat /orphan)").status() == 1,
        () -> container.sh("ps -o pid,ppid,stat,args"));
  }

  @Test
  void aHostNetworkPodIsInTheHostsNetworkAndUnderTheHostsName() throws IOException {
    Pod pod =
        pod(config -> {
          namespaces(config).setNetwork(NamespaceMode.NODE);
          config.clearHostname();
        });
    PodContainer container = pod.sleeping();
    assertThat(container.proc().sharesWithHost("net")).isTrue();
    assertThat(container.proc().sharesWithHost("uts")).isTrue();
    assertThat(container.proc().sharesWithHost("ipc")).isFalse();
    assertThat(container.sh("hostname"))
        .isEqualTo(Files.readString(java.nio.file.Path.of("/proc/sys/kernel/hostname")).trim());
    assertThat(container.sh("cat /sys/class/net/lo/operstate")).isEqualTo("unknown");
  }

  @Test
  void hostPidAndHostIpcAreTheHosts() {
    Pod pod =
        pod(config -> namespaces(config).setPid(NamespaceMode.NODE).setIpc(NamespaceMode.NODE));
    PodContainer container = pod.sleeping();
    assertThat(container.proc().sharesWithHost("pid")).isTrue();
    assertThat(container.proc().sharesWithHost("ipc")).isTrue();
    // Seen, not reached: the host's processes are nobody's inside.
    assertThat(container.exec("sh", "-c", "kill -0 1").status()).isNotZero();
  }

  @Test
  void aDebugContainerSharesTheProcessesOfItsTarget() {
    Pod pod = pod();
    PodContainer target = pod.start("sleep", "602");
    PodContainer debugger =
        pod.start(config -> {
          config.addAllCommand(List.of("sleep", "600"));
          config
              .getLinuxBuilder()
              .getSecurityContextBuilder()
              .getNamespaceOptionsBuilder()
              .setPid(NamespaceMode.TARGET)
              .setTargetId(target.id());
        });
    assertThat(debugger.proc().namespace("pid")).isEqualTo(target.proc().namespace("pid"));
    assertThat(debugger.sh("cat /proc/1/cmdline | tr '\\0' ' '")).isEqualTo("sleep 602");
  }

  @Test
  void removalLeavesNothing() throws IOException {
    Pod pod = pod(config -> config.getLinuxBuilder().setCgroupParent(""));
    PodContainer container = pod.sleeping();
    pod.start("true").ended();
    int keeper = Processes.parent(pod.proc().pid());
    List<Integer> pids = List.of(keeper, pod.proc().pid(), container.proc().pid());
    List<java.nio.file.Path> groups =
        container.proc().cgroups().entrySet().stream()
            .filter(group -> !group.getValue().equals("/"))
            .filter(group -> !group.getKey().isEmpty() && !group.getKey().startsWith("name="))
            .map(group ->
                brig.testing.kernel.CgroupsV1.mountPoint(group.getKey())
                    .resolve(group.getValue().substring(1)))
            .toList();
    assertThat(groups).isNotEmpty().allMatch(Files::exists);
    pod.stop();
    assertThat(pod.status().getState()).isEqualTo(PodSandboxState.SANDBOX_NOTREADY);
    pod.remove();
    for (int pid : pids) {
      Eventually.holds("process " + pid + " is gone", () -> !Processes.alive(pid));
    }
    assertThat(groups).noneMatch(Files::exists);
    assertThat(containerd.bundle(Containerd.CRI_NAMESPACE, pod.id())).doesNotExist();
    assertThat(containerd.bundle(Containerd.CRI_NAMESPACE, container.id())).doesNotExist();
    assertThat(Mounts.beneath(containerd.directory()))
        .noneMatch(
            entry -> entry.point().contains(pod.id()) || entry.point().contains(container.id()));
    assertThat(pod.containers()).isEmpty();
  }

  @Test
  void aContainerIsRemovedAndAnotherTakesItsPlace() {
    Pod pod = pod();
    PodContainer first = pod.sleeping();
    first.stop(0);
    first.remove();
    assertThat(pod.containers()).isEmpty();
    assertThat(pod.sleeping().sh("echo again")).isEqualTo("again");
  }
}
