package brig.testing;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;

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

  private ContainerdConfig() {}

  /** The handlers are CRI's runtime classes: name to runtime type. */
  static String render(
      ContainerdVersion version, Path directory, String pauseImage, Map<String, String> handlers) {
    String common =
        """
        version = %d
        root = "%s/root"
        state = "%s/state"
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
                directory,
                DISABLED,
                directory,
                directory,
                directory);
    return common
        + (version.atLeast(ContainerdVersion.V2_1)
            ? criOfVersion3(directory, pauseImage, new TreeMap<>(handlers))
            : criOfVersion2(directory, pauseImage, new TreeMap<>(handlers)));
  }

  private static String criOfVersion2(
      Path directory, String pauseImage, Map<String, String> handlers) {
    StringBuilder text =
        new StringBuilder(
            """
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "%s"
              restrict_oom_score_adj = true
              stream_server_address = "127.0.0.1"
              stream_server_port = "0"
              [plugins."io.containerd.grpc.v1.cri".cni]
                bin_dir = "%s/cni/bin"
                conf_dir = "%s/cni/net.d"
              [plugins."io.containerd.grpc.v1.cri".containerd]
                snapshotter = "overlayfs"
                default_runtime_name = "%s"
            """
                .formatted(pauseImage, directory, directory, handlers.keySet().iterator().next()));
    handlers.forEach((name, type) ->
        text.append(
            """
            [plugins."io.containerd.grpc.v1.cri".containerd.runtimes."%s"]
              runtime_type = "%s"
            """
                .formatted(name, type)));
    return text.toString();
  }

  private static String criOfVersion3(
      Path directory, String pauseImage, Map<String, String> handlers) {
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
              [plugins."io.containerd.cri.v1.runtime".cni]
                bin_dirs = ["%s/cni/bin"]
                conf_dir = "%s/cni/net.d"
              [plugins."io.containerd.cri.v1.runtime".containerd]
                default_runtime_name = "%s"
            """
                .formatted(pauseImage, directory, directory, handlers.keySet().iterator().next()));
    handlers.forEach((name, type) ->
        text.append(
            """
            [plugins."io.containerd.cri.v1.runtime".containerd.runtimes."%s"]
              runtime_type = "%s"
            """
                .formatted(name, type)));
    return text.toString();
  }
}
