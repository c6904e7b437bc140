package brig.testing;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** containerd's configuration file for a private instance, in the form its version reads. */
final class ContainerdConfig {

  /** Plugins that would look for devices or services of the host that no test needs. */
  private static final String DISABLED =
      """
      disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", \
      "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", \
      "io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs", \
      "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing", \
      "io.containerd.nri.v1.nri"]
      """;

  /**
   * One of CRI's runtime classes.
   *
   * @param shim the shim's program where it isn't found by the type's name
   */
  record Handler(String name, String type, Optional<Path> shim) {}

  private ContainerdConfig() {}

  /**
   * The class under test, the same one under runc's type, which is the only one that containerd 2.0
   * to 2.3 asks for user namespaces, and runc itself.
   */
  static List<Handler> handlers(Settings settings) {
    Path shim = settings.prefix().resolve("bin/containerd-shim-brig-v2");
    return List.of(
        new Handler("brig", settings.runtime(), Optional.empty()),
        new Handler(
            "brig-path", Settings.RUNC, settings.isBrig() ? Optional.of(shim) : Optional.empty()),
        new Handler("runc", Settings.RUNC, Optional.empty()));
  }

  static String render(
      ContainerdVersion version,
      Path directory,
      Path state,
      String pauseImage,
      List<Handler> handlers) {
    String common =
        """
        version = %d
        root = "%s/root"
        state = "%s"
        %s
        [grpc]
          address = "%s/containerd.sock"
        [ttrpc]
          address = "%s/containerd.sock.ttrpc"
        [plugins."io.containerd.internal.v1.opt"]
          path = "%s/opt"
        """
            .formatted(
                version.atLeast(ContainerdVersion.V2_1) ? 3 : 2,
                directory,
                state,
                DISABLED,
                directory,
                directory,
                directory);
    return common
        + (version.atLeast(ContainerdVersion.V2_1)
            ? criOfVersion3(directory, pauseImage, handlers)
            : criOfVersion2(directory, pauseImage, handlers));
  }

  private static String criOfVersion2(Path directory, String pauseImage, List<Handler> handlers) {
    StringBuilder text =
        new StringBuilder(
            """
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "%s"
              restrict_oom_score_adj = true
              netns_mounts_under_state_dir = true
              stream_server_address = "127.0.0.1"
              stream_server_port = "0"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "%s/cni/bin"
                conf_dir = "%s/cni/net.d"
              [plugins."io.containerd.grpc.v1.cri".containerd]
                snapshotter = "overlayfs"
                default_runtime_name = "%s"
            """
                .formatted(pauseImage, directory, directory, handlers.getFirst().name()));
    handlers.forEach(handler -> text.append(render("io.containerd.grpc.v1.cri", handler)));
    return text.toString();
  }

  private static String criOfVersion3(Path directory, String pauseImage, List<Handler> handlers) {
    StringBuilder text =
        new StringBuilder(
            """
            [plugins."io.containerd.grpc.v1.cri"]
              stream_server_address = "127.0.0.1"
              stream_server_port = "0"
            [plugins."io.containerd.cri.v1.images"]
              snapshotter = "overlayfs"
              [plugins."io.containerd.cri.v1.images".pinned_images]
                sandbox = "%s"
            [plugins."io.containerd.cri.v1.runtime"]
              restrict_oom_score_adj = true
              netns_mounts_under_state_dir = true
              [plugins."io.containerd.cri.v1.runtime".cni]
                bin_dirs = ["%s/cni/bin"]
                conf_dir = "%s/cni/net.d"
              [plugins."io.containerd.cri.v1.runtime".containerd]
                default_runtime_name = "%s"
            """
                .formatted(pauseImage, directory, directory, handlers.getFirst().name()));
    handlers.forEach(handler -> text.append(render("io.containerd.cri.v1.runtime", handler)));
    return text.toString();
  }

  private static String render(String plugin, Handler handler) {
    return """
    [plugins."%s".containerd.runtimes."%s"]
      runtime_type = "%s"
    """
            .formatted(plugin, handler.name(), handler.type())
        + handler.shim().map("  runtime_path = \"%s\"\n"::formatted).orElse("");
  }
}
