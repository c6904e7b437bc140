package brig.testing.cri;

import brig.testing.Images;
import brig.testing.Names;
import brig.testing.kernel.Proc;
import brig.testing.proto.cri.ContainerConfig;
import brig.testing.proto.cri.ContainerFilter;
import brig.testing.proto.cri.ContainerMetadata;
import brig.testing.proto.cri.CreateContainerRequest;
import brig.testing.proto.cri.ImageSpec;
import brig.testing.proto.cri.LinuxPodSandboxStats;
import brig.testing.proto.cri.ListContainersRequest;
import brig.testing.proto.cri.PodSandboxConfig;
import brig.testing.proto.cri.PodSandboxStatsRequest;
import brig.testing.proto.cri.PodSandboxStatus;
import brig.testing.proto.cri.PodSandboxStatusRequest;
import brig.testing.proto.cri.PodSandboxStatusResponse;
import brig.testing.proto.cri.RemovePodSandboxRequest;
import brig.testing.proto.cri.StopPodSandboxRequest;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/** A pod that a test made; closing it ends and removes everything of it. */
public final class Pod implements AutoCloseable {

  private final CriClient client;
  private final String id;
  private final PodSandboxConfig config;
  private boolean removed;

  Pod(CriClient client, String id, PodSandboxConfig config) {
    this.client = client;
    this.id = id;
    this.config = config;
  }

  public String id() {
    return id;
  }

  public PodSandboxConfig config() {
    return config;
  }

  CriClient client() {
    return client;
  }

  /** A container of the test image that runs this command; created, not started. */
  public PodContainer create(String... command) {
    return create(container -> container.addAllCommand(List.of(command)));
  }

  /** The same, changed before it is created. It shares the pod's namespaces as kubelet asks. */
  public PodContainer create(Consumer<ContainerConfig.Builder> change) {
    String name = Names.fresh("app");
    ContainerConfig.Builder container =
        ContainerConfig.newBuilder()
            .setMetadata(ContainerMetadata.newBuilder().setName(name))
            .setImage(ImageSpec.newBuilder().setImage(Images.BUSYBOX))
            .setLogPath(name + ".log");
    container
        .getLinuxBuilder()
        .getSecurityContextBuilder()
        .setNamespaceOptions(config.getLinux().getSecurityContext().getNamespaceOptions());
    change.accept(container);
    String created =
        client
            .runtime()
            .createContainer(
                CreateContainerRequest.newBuilder()
                    .setPodSandboxId(id)
                    .setConfig(container)
                    .setSandboxConfig(config)
                    .build())
            .getContainerId();
    return new PodContainer(this, created, Path.of(config.getLogDirectory(), name + ".log"));
  }

  /** Creates and starts. */
  public PodContainer start(String... command) {
    return create(command).start();
  }

  public PodContainer start(Consumer<ContainerConfig.Builder> change) {
    return create(change).start();
  }

  /** A container that waits to be looked at. */
  public PodContainer sleeping() {
    return start("sleep", "600");
  }

  public PodSandboxStatus status() {
    return answer(false).getStatus();
  }

  private PodSandboxStatusResponse answer(boolean verbose) {
    return client
        .runtime()
        .podSandboxStatus(
            PodSandboxStatusRequest.newBuilder().setPodSandboxId(id).setVerbose(verbose).build());
  }

  /** The pause process. */
  public Proc proc() {
    return new Proc(CriClient.json(answer(true).getInfoOrThrow("info")).path("pid").asInt());
  }

  /** Its address in the pods' network. */
  public String address() {
    return status().getNetwork().getIp();
  }

  public LinuxPodSandboxStats stats() {
    return client
        .runtime()
        .podSandboxStats(PodSandboxStatsRequest.newBuilder().setPodSandboxId(id).build())
        .getStats()
        .getLinux();
  }

  /** The ids of the containers that CRI knows of it. */
  public List<String> containers() {
    return client
        .runtime()
        .listContainers(
            ListContainersRequest.newBuilder()
                .setFilter(ContainerFilter.newBuilder().setPodSandboxId(id))
                .build())
        .getContainersList()
        .stream()
        .map(container -> container.getId())
        .toList();
  }

  /** Ends its processes and takes its network away. */
  public void stop() {
    client.runtime().stopPodSandbox(StopPodSandboxRequest.newBuilder().setPodSandboxId(id).build());
  }

  /** Removes it and its containers. */
  public void remove() {
    client
        .runtime()
        .removePodSandbox(RemovePodSandboxRequest.newBuilder().setPodSandboxId(id).build());
    removed = true;
  }

  @Override
  public void close() {
    if (!removed) {
      stop();
      remove();
    }
  }
}
