package brig.testing;

import brig.testing.kernel.Links;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The network of one containerd's pods: a CNI configuration for the {@code bridge} plugin with a
 * bridge and a subnet of its own, and the address files beneath containerd's directory.
 *
 * <p>The host has an address on the bridge, so that a test reaches a pod's ports. Nothing is
 * forwarded or translated: no firewall is touched, and the host's other links are left alone.
 */
public final class PodNetwork implements AutoCloseable {

  /** Where Debian's and Ubuntu's package containernetworking-plugins has the plugins. */
  private static final Path PLUGINS =
      Path.of(System.getProperty("brig.cni", "/usr/lib/cni")).toAbsolutePath();

  /** Benchmark addresses (RFC 2544): no network that a machine is really part of has them. */
  private static final String PODS = "198.18.";

  private static final String OTHERS = "198.19.";

  /** Another one for each containerd of a run, and hardly the same ones as those of another run. */
  private static final AtomicInteger NEXT =
      new AtomicInteger(ThreadLocalRandom.current().nextInt(256));

  private final String bridge;
  private final String prefix;
  private final int third;
  private boolean up;

  private PodNetwork(String bridge, int third) {
    this.bridge = bridge;
    this.third = third;
    this.prefix = PODS + third + ".";
  }

  /** Writes the configuration into containerd's directory; the bridge comes with {@link #up}. */
  static PodNetwork configure(Path directory) {
    int third = NEXT.getAndIncrement() & 0xff;
    String prefix = PODS + third + ".";
    String bridge = "bit-" + Integer.toHexString(ThreadLocalRandom.current().nextInt(0x1000_0000));
    try {
      Path configuration = Files.createDirectories(directory.resolve("cni/net.d"));
      Files.createSymbolicLink(directory.resolve("cni/bin"), PLUGINS);
      Files.writeString(
          configuration.resolve("10-brig-it.conflist"),
          """
          {"cniVersion": "0.4.0", "name": "%s", "plugins": [{
            "type": "bridge", "bridge": "%s", "isGateway": false, "ipMasq": false,
            "ipam": {"type": "host-local", "dataDir": "%s/cni/addresses",
                     "ranges": [[{"subnet": "%s0/24", "rangeStart": "%s10"}]]}}]}
          """
              .formatted(bridge, bridge, directory, prefix, prefix));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return new PodNetwork(bridge, third);
  }

  /** Makes the bridge, once. */
  public synchronized void up() {
    if (up) {
      return;
    }
    if (!Files.isExecutable(PLUGINS.resolve("bridge"))) {
      throw new IllegalStateException(
          "no CNI plugins in " + PLUGINS + ": install containernetworking-plugins");
    }
    Links.ip("link", "add", bridge, "type", "bridge");
    up = true;
    Links.ip("address", "add", prefix + "1/24", "dev", bridge);
    Links.ip("link", "set", bridge, "up");
  }

  /** The host's address in this network. */
  public String hostAddress() {
    return prefix + "1";
  }

  /** A subnet that is free as well, for a network that somebody else makes. */
  public String otherSubnet() {
    return OTHERS + third + ".0/24";
  }

  /** What every pod's address begins with. */
  public String prefix() {
    return prefix;
  }

  /** The bridge's name: each pod has one port of it. */
  public String bridge() {
    return bridge;
  }

  @Override
  public synchronized void close() {
    if (up) {
      Links.ip("link", "delete", bridge);
      up = false;
    }
  }
}
