package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.cri.CriClient;
import brig.testing.cri.Pod;
import brig.testing.proto.cri.PodSandboxConfig;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.AfterEach;

/** A test that speaks CRI, as kubelet does; what it made is removed at its end. */
abstract class CriTest {

  final Containerd containerd;
  final CriClient cri;
  private final Deque<AutoCloseable> made = new ArrayDeque<>();

  CriTest(Containerd containerd) {
    this.containerd = containerd;
    this.cri = new CriClient(containerd);
  }

  /** Closed at the end of the test, in reverse order. */
  final <T extends AutoCloseable> T keep(T resource) {
    made.push(resource);
    return resource;
  }

  final Pod pod() {
    return pod(config -> {});
  }

  final Pod pod(Consumer<PodSandboxConfig.Builder> change) {
    return keep(cri.pod(change));
  }

  @AfterEach
  final void removeWhatWasMade() {
    List<Throwable> failures = new ArrayList<>();
    while (!made.isEmpty()) {
      try {
        made.pop().close();
      } catch (Exception | AssertionError e) {
        failures.add(e);
      }
    }
    cri.close();
    assertThat(failures).as("what the test made is removed").isEmpty();
  }
}
