package brig.testing.client;

import brig.testing.Containerd;
import brig.testing.Images;
import brig.testing.Names;
import brig.testing.proto.containers.Container;
import brig.testing.proto.containers.ContainersGrpc;
import brig.testing.proto.containers.CreateContainerRequest;
import brig.testing.proto.containers.DeleteContainerRequest;
import brig.testing.proto.content.ContentGrpc;
import brig.testing.proto.content.ReadContentRequest;
import brig.testing.proto.images.GetImageRequest;
import brig.testing.proto.images.ImagesGrpc;
import brig.testing.proto.snapshots.MountsRequest;
import brig.testing.proto.snapshots.PrepareSnapshotRequest;
import brig.testing.proto.snapshots.RemoveSnapshotRequest;
import brig.testing.proto.snapshots.SnapshotsGrpc;
import brig.testing.proto.tasks.TasksGrpc;
import brig.testing.proto.types.Mount;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import io.grpc.CallOptions;
import io.grpc.Channel;
import io.grpc.ClientCall;
import io.grpc.ClientInterceptor;
import io.grpc.ClientInterceptors;
import io.grpc.ForwardingClientCall.SimpleForwardingClientCall;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;

/** One client's connection to a containerd, in one of its namespaces. */
public final class ContainerdClient implements AutoCloseable {

  public static final String SPEC = "types.containerd.io/opencontainers/runtime-spec/1/Spec";
  public static final String PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process";
  public static final String RESOURCES =
      "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";

  private static final String SNAPSHOTTER = "overlayfs";
  private static final ObjectMapper MAPPER = new ObjectMapper();

  /**
   * No call of a healthy node takes this long; the longest here is a create on a loaded machine.
   */
  private static final Duration DEADLINE = Duration.ofSeconds(90);

  private final Supplier<ManagedChannel> connect;
  private final Optional<Containerd> containerd;
  private final String namespace;
  private final String runtime;
  private Optional<ManagedChannel> channel = Optional.empty();

  public ContainerdClient(Containerd containerd, String namespace) {
    this(containerd, namespace, containerd.settings().runtime());
  }

  /** The same with another runtime than the one under test for the containers made here. */
  public ContainerdClient(Containerd containerd, String namespace, String runtime) {
    this(() -> UnixChannel.open(containerd.address()), Optional.of(containerd), namespace, runtime);
  }

  private ContainerdClient(
      Supplier<ManagedChannel> connect,
      Optional<Containerd> containerd,
      String namespace,
      String runtime) {
    this.connect = connect;
    this.containerd = containerd;
    this.namespace = namespace;
    this.runtime = runtime;
  }

  /**
   * A client of a containerd on another machine: whatever lies in its file system, stdio included,
   * is out of this client's reach.
   */
  public static ContainerdClient remote(
      Supplier<ManagedChannel> connect, String namespace, String runtime) {
    return new ContainerdClient(connect, Optional.empty(), namespace, runtime);
  }

  /** Opened by the first call. */
  private synchronized ManagedChannel channel() {
    ManagedChannel opened = channel.orElseGet(connect);
    channel = Optional.of(opened);
    return opened;
  }

  private Channel namespaced() {
    return ClientInterceptors.intercept(channel(), inNamespace(namespace), new DefaultDeadline());
  }

  public Containerd containerd() {
    return containerd.orElseThrow(() -> new IllegalStateException("containerd is elsewhere"));
  }

  public String namespace() {
    return namespace;
  }

  public TasksGrpc.TasksBlockingStub tasks() {
    return TasksGrpc.newBlockingStub(namespaced());
  }

  /** For calls that wait longer than the deadline of the others. */
  public TasksGrpc.TasksFutureStub tasksAsync() {
    return TasksGrpc.newFutureStub(namespaced()).withDeadlineAfter(10, TimeUnit.MINUTES);
  }

  public ContainersGrpc.ContainersBlockingStub containers() {
    return ContainersGrpc.newBlockingStub(namespaced());
  }

  public SnapshotsGrpc.SnapshotsBlockingStub snapshots() {
    return SnapshotsGrpc.newBlockingStub(namespaced());
  }

  Channel streaming() {
    return ClientInterceptors.intercept(channel(), inNamespace(namespace));
  }

  /** Subscribes to events; returns once they flow. */
  public Events events() {
    return new Events(this);
  }

  /** A container of the test image with a fresh name and a writable snapshot. */
  public TestContainer container(OciSpec spec) {
    return container(Names.fresh("c"), spec);
  }

  public TestContainer container(String id, OciSpec spec) {
    return container(id, spec, Any.getDefaultInstance());
  }

  /** The same with runtime options. */
  public TestContainer container(String id, OciSpec spec, Any options) {
    List<Mount> rootfs =
        snapshots()
            .prepare(
                PrepareSnapshotRequest.newBuilder()
                    .setSnapshotter(SNAPSHOTTER)
                    .setKey(id)
                    .setParent(chainOf(Images.BUSYBOX))
                    // Nothing refers to it yet when containerd next collects its garbage.
                    .putLabels("containerd.io/gc.root", "test")
                    .build())
            .getMountsList();
    return register(id, spec, options, rootfs, id);
  }

  /** A container whose specification names its root itself. */
  public TestContainer containerOnItsOwnRoot(OciSpec spec) {
    return register(Names.fresh("c"), spec, Any.getDefaultInstance(), List.of(), "");
  }

  /** A container whose root is what these mounts make, as a snapshotter gives them. */
  public TestContainer containerOn(OciSpec spec, List<Mount> rootfs) {
    return register(Names.fresh("c"), spec, Any.getDefaultInstance(), rootfs, "");
  }

  private TestContainer register(
      String id, OciSpec spec, Any options, List<Mount> rootfs, String snapshotKey) {
    if (spec.linux().path("cgroupsPath").isMissingNode()) {
      spec.cgroupsPath("/" + namespace + "/" + id);
    }
    Container.Runtime.Builder chosen = Container.Runtime.newBuilder().setName(runtime);
    if (!options.getTypeUrl().isEmpty()) {
      chosen.setOptions(options);
    }
    containers()
        .create(
            CreateContainerRequest.newBuilder()
                .setContainer(
                    Container.newBuilder()
                        .setId(id)
                        .setRuntime(chosen)
                        .setSpec(json(SPEC, spec.toString()))
                        .setSnapshotter(snapshotKey.isEmpty() ? "" : SNAPSHOTTER)
                        .setSnapshotKey(snapshotKey))
                .build());
    return new TestContainer(this, id, spec, rootfs, snapshotKey);
  }

  /** The mounts that make a snapshot, by its key. */
  public List<Mount> snapshotMounts(String key) {
    return snapshots()
        .mounts(MountsRequest.newBuilder().setSnapshotter(SNAPSHOTTER).setKey(key).build())
        .getMountsList();
  }

  void removeSnapshot(String key) {
    snapshots()
        .remove(RemoveSnapshotRequest.newBuilder().setSnapshotter(SNAPSHOTTER).setKey(key).build());
  }

  void removeContainer(String id) {
    containers().delete(DeleteContainerRequest.newBuilder().setId(id).build());
  }

  /** The name under which an image's unpacked layers are committed. */
  public String chainOf(String image) {
    String target =
        ImagesGrpc.newBlockingStub(namespaced())
            .get(GetImageRequest.newBuilder().setName(image).build())
            .getImage()
            .getTarget()
            .getDigest();
    JsonNode document = read(target);
    if (document.has("manifests")) {
      document = read(document.at("/manifests/0/digest").asText());
    }
    JsonNode layers = read(document.at("/config/digest").asText()).at("/rootfs/diff_ids");
    String chain = layers.get(0).asText();
    for (int i = 1; i < layers.size(); i++) {
      chain = "sha256:" + sha256(chain + " " + layers.get(i).asText());
    }
    return chain;
  }

  private JsonNode read(String digest) {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ContentGrpc.newBlockingStub(namespaced())
        .read(ReadContentRequest.newBuilder().setDigest(digest).build())
        .forEachRemaining(part -> bytes.writeBytes(part.getData().toByteArray()));
    try {
      return MAPPER.readTree(bytes.toByteArray());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String sha256(String text) {
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  /** A JSON document under the name that containerd gives its type. */
  public static Any json(String typeUrl, String document) {
    return Any.newBuilder().setTypeUrl(typeUrl).setValue(ByteString.copyFromUtf8(document)).build();
  }

  private static ClientInterceptor inNamespace(String namespace) {
    Metadata.Key<String> key =
        Metadata.Key.of("containerd-namespace", Metadata.ASCII_STRING_MARSHALLER);
    return new ClientInterceptor() {
      @Override
      public <Q, A> ClientCall<Q, A> interceptCall(
          MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
        return new SimpleForwardingClientCall<>(next.newCall(method, options)) {
          @Override
          public void start(Listener<A> listener, Metadata headers) {
            headers.put(key, namespace);
            super.start(listener, headers);
          }
        };
      }
    };
  }

  /** Gives calls that have none a deadline, so that a hang is a failure with a name. */
  private static final class DefaultDeadline implements ClientInterceptor {
    @Override
    public <Q, A> ClientCall<Q, A> interceptCall(
        MethodDescriptor<Q, A> method, CallOptions options, Channel next) {
      CallOptions bounded =
          options.getDeadline() == null
              ? options.withDeadlineAfter(DEADLINE.toMillis(), TimeUnit.MILLISECONDS)
              : options;
      // A daemon that is being restarted is waited for, within the deadline.
      return next.newCall(method, bounded.withWaitForReady());
    }
  }

  @Override
  public synchronized void close() {
    channel.ifPresent(UnixChannel::close);
  }
}
