package brig.sandbox.plan;

import java.util.List;

/** One entry of containerd's {@code CreateTaskRequest.rootfs}. */
public record RootfsMount(String type, String source, String target, List<String> options) {
  public RootfsMount {
    options = List.copyOf(options);
  }
}
