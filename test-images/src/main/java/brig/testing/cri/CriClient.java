package brig.testing.cri;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.UnixChannel;
import brig.testing.proto.cri.ImageServiceGrpc;
import brig.testing.proto.cri.ImageSpec;
import brig.testing.proto.cri.ImageStatusRequest;
import brig.testing.proto.cri.NamespaceMode;
import brig.testing.proto.cri.NamespaceOption;
import brig.testing.proto.cri.PodSandboxConfig;
import brig.testing.proto.cri.PodSandboxMetadata;
import brig.testing.proto.cri.RunPodSandboxRequest;
import brig.testing.proto.cri.RuntimeServiceGrpc;
import brig.testing.proto.cri.StatusRequest;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.grpc.ManagedChannel;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** One client's connection to containerd's CRI service. */
public final class CriClient implements AutoCloseable {

  /** The class under test. */
  public static final String HANDLER = "brig";

  /** The same under the runtime type that containerd 2.0 to 2.3 asks for user namespaces. */
  public static final String HANDLER_BY_PATH = "brig-path";

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** As kubelet's: two minutes for any call. */
  private static final long DEADLINE_SECONDS = 120;

  private final Containerd containerd;
  private final ManagedChannel channel;

  /** Opens a connection and, where it isn't there yet, the pods' network. */
  public CriClient(Containerd containerd) {
    this.containerd = containerd;
    containerd.network().up();
    this.channel = UnixChannel.open(containerd.address());
  }

  public Containerd containerd() {
    return containerd;
  }

  /** Calls wait for a daemon that is being restarted. */
  public RuntimeServiceGrpc.RuntimeServiceBlockingStub runtime() {
    return RuntimeServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)
        .withWaitForReady();
  }

  /** For streams that last as long as a test. */
  RuntimeServiceGrpc.RuntimeServiceStub streaming() {
    return RuntimeServiceGrpc.newStub(channel);
  }

  /** Waits until CRI serves: containerd has its socket before it has loaded its pods. */
  public void awaitReady() {
    Eventually.holds(
        "CRI is ready",
        () -> {
          try {
            return runtime().status(StatusRequest.getDefaultInstance()).hasStatus();
          } catch (StatusRuntimeException e) {
            return false;
          }
        });
  }

  /** Whether CRI has an image. */
  public boolean hasImage(String name) {
    return ImageServiceGrpc.newBlockingStub(channel)
        .withDeadlineAfter(DEADLINE_SECONDS, TimeUnit.SECONDS)
        .imageStatus(
            ImageStatusRequest.newBuilder().setImage(ImageSpec.newBuilder().setImage(name)).build())
        .hasImage();
  }

  /** A pod of the class under test, running. */
  public Pod pod(Consumer<PodSandboxConfig.Builder> change) {
    return pod(HANDLER, change);
  }

  public Pod pod(String handler, Consumer<PodSandboxConfig.Builder> change) {
    PodSandboxConfig config = config(change);
    String id =
        runtime()
            .runPodSandbox(
                RunPodSandboxRequest.newBuilder()
                    .setConfig(config)
                    .setRuntimeHandler(handler)
                    .build())
            .getPodSandboxId();
    return new Pod(this, id, config);
  }

  /** What kubelet would send for a plain pod, with changes; nothing is started. */
  public PodSandboxConfig config(Consumer<PodSandboxConfig.Builder> change) {
    String name = Names.fresh("pod");
    Path logs = containerd.directory().resolve("pods").resolve(name);
    try {
      Files.createDirectories(logs);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    PodSandboxConfig.Builder config =
        PodSandboxConfig.newBuilder()
            .setMetadata(
                PodSandboxMetadata.newBuilder()
                    .setName(name)
                    .setUid(name + "-uid")
                    .setNamespace("default"))
            .setHostname(name)
            .setLogDirectory(logs.toString());
    // Kubernetes' own default: each container has its own processes.
    namespaces(config).setPid(NamespaceMode.CONTAINER);
    change.accept(config);
    return config.build();
  }

  /** The part of a pod's configuration that says which namespaces it has. */
  public static NamespaceOption.Builder namespaces(PodSandboxConfig.Builder config) {
    return config.getLinuxBuilder().getSecurityContextBuilder().getNamespaceOptionsBuilder();
  }

  static JsonNode json(String document) {
    try {
      return MAPPER.readTree(document);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    UnixChannel.close(channel);
  }
}
