package brig.testing.integration;

import static brig.testing.cri.CriClient.namespaces;
import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.cri.CriClient;
import brig.testing.cri.Pod;
import brig.testing.cri.PodContainer;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Proc.Mapping;
import brig.testing.proto.cri.ContainerConfig;
import brig.testing.proto.cri.IDMapping;
import brig.testing.proto.cri.NamespaceMode;
import brig.testing.proto.cri.PodSandboxConfig;
import brig.testing.proto.cri.StatusRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/** Pods with {@code hostUsers: false}: the user namespace is Kubernetes', and so are its ids. */
@Tag("integration")
@ParameterizedClass(
    name = "containerd {0}",
    autoCloseArguments = false,
    allowZeroInvocations = true)
@ArgumentsSource(RunningContainerds.WithPodUserNamespaces.class)
class PodUserNamespaceTest extends CriTest {

  private static final int IDS = 65_536;

  /** Below the pools of the daemons of this run, as kubelet's ranges are its own. */
  private static final AtomicLong NEXT = new AtomicLong(1_610_612_736L);

  private final long first = NEXT.getAndAdd(IDS);

  PodUserNamespaceTest(Containerd containerd) {
    super(containerd);
  }

  private Pod mapped() {
    return mapped(config -> {});
  }

  private Pod mapped(Consumer<PodSandboxConfig.Builder> change) {
    return mapped(first, change);
  }

  private Pod mapped(long host, Consumer<PodSandboxConfig.Builder> change) {
    return keep(
        cri.pod(
            CriClient.HANDLER_BY_PATH,
            config -> {
              namespaces(config)
                  .getUsernsOptionsBuilder()
                  .setMode(NamespaceMode.POD)
                  .addUids(allFrom(host))
                  .addGids(allFrom(host));
              change.accept(config);
            }));
  }

  private static IDMapping allFrom(long host) {
    return IDMapping.newBuilder().setContainerId(0).setHostId((int) host).setLength(IDS).build();
  }

  @Test
  void theGivenMapsAreTheKernels() {
    Pod pod = mapped();
    Mapping given = new Mapping(0, first, IDS);
    for (Proc process : List.of(pod.proc(), pod.sleeping().proc(), pod.sleeping().proc())) {
      assertThat(process.uidMap()).containsExactly(given);
      assertThat(process.gidMap()).containsExactly(given);
      assertThat(process.namespace("user")).isEqualTo(pod.proc().namespace("user"));
      assertThat(process.status("Uid")).startsWith(Long.toString(first));
    }
  }

  @Test
  void itsNetworkWorksAndBelongsToIt() {
    Pod pod = mapped();
    PodContainer container = pod.sleeping();
    assertThat(pod.address()).startsWith(containerd.network().prefix());
    assertThat(container.sh("ip -4 addr show eth0")).contains(pod.address());
    assertThat(container.exec("brig-probe", "bind", "80").stdout()).startsWith("bind\tok");
    assertThat(container.exec("brig-probe", "ping", keep(cri.pod(config -> {})).address()).stdout())
        .startsWith("ping\tok");
  }

  @Test
  void theImagesOwnersAreThoseOfTheImage() {
    PodContainer container = mapped().sleeping();
    assertThat(container.sh("stat -c %u:%g / /data/user/file /data/nobody/file /bin/busybox"))
        .isEqualTo("0:0\n1000:1000\n65534:65534\n0:0");
    assertThat(container.sh("touch /new; chown 1000:50 /new; stat -c %u:%g /new"))
        .isEqualTo("1000:50");
  }

  @Test
  void mappedVolumesKeepTheirOwners() throws IOException {
    Path volume = Files.createDirectories(containerd.directory().resolve("pods/" + first));
    Files.writeString(volume.resolve("roots"), "root's\n");
    Files.writeString(volume.resolve("users"), "user's\n");
    Files.setAttribute(volume.resolve("users"), "unix:uid", 1000);
    Consumer<ContainerConfig.Builder> withVolume =
        config -> {
          config.addAllCommand(List.of("sleep", "600"));
          config
              .addMountsBuilder()
              .setHostPath(volume.toString())
              .setContainerPath("/volume")
              .addUidMappings(allFrom(first))
              .addGidMappings(allFrom(first));
        };
    if (!containerd.version().atLeast(ContainerdVersion.V2_1)) {
      assertThat(Refusals.words(() -> mapped().start(withVolume)))
          .contains("idmap mounts not yet supported");
      return;
    }
    PodContainer container = mapped().start(withVolume);
    assertThat(container.sh("stat -c %u /volume/roots /volume/users")).isEqualTo("0\n1000");
    container.sh("echo new > /volume/new; chown 1000 /volume/new");
    assertThat(Files.getAttribute(volume.resolve("new"), "unix:uid")).isEqualTo(1000);
  }

  @Test
  void filesOfThePodAreReadableInside() {
    PodContainer container = mapped().sleeping();
    assertThat(container.sh("cat /etc/resolv.conf /etc/hosts > /dev/null; hostname")).isNotEmpty();
    assertThat(container.sh("echo x > /dev/shm/a; stat -c %u /dev/shm/a")).isEqualTo("0");
  }

  @Test
  void execAndLogsAreAsInAnyPod() {
    PodContainer container = mapped().start("sh", "-c", "echo out; echo err >&2; sleep 600");
    container.awaitLog("out");
    container.awaitLog("err");
    assertThat(container.exec("sh", "-c", "exit 9").status()).isEqualTo(9);
    // Opened again by name, as loggers of many images do.
    container.sh("echo again > /proc/1/fd/1");
    container.awaitLog("again");
  }

  @Test
  @OnlyBrig
  void idsThatBrigGaveToAnotherPodAreRefused() {
    PodContainer other = keep(cri.pod(config -> {})).sleeping();
    long taken = other.proc().uidMap().getFirst().outside();
    assertThat(Refusals.words(() -> mapped(taken, config -> {})))
        .contains(Long.toString(taken))
        .contains("of which pod");
    assertThat(other.sh("echo unharmed")).isEqualTo("unharmed");
  }

  @Test
  void theClassSaysThatItCan() {
    var handlers =
        cri.runtime().status(StatusRequest.getDefaultInstance()).getRuntimeHandlersList();
    // containerd 1.7 doesn't ask.
    assertThat(handlers)
        .filteredOn(handler -> handler.getName().equals(CriClient.HANDLER_BY_PATH))
        .allMatch(handler -> handler.getFeatures().getUserNamespaces())
        .allMatch(handler -> handler.getFeatures().getRecursiveReadOnlyMounts());
  }
}
