package brig.testing.faults.points;

import brig.testing.BrigDaemon;
import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.Settings;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import jnr.constants.platform.Signal;

/**
 * A containerd with brigd, and the harness in between: keepers find it where they look for brigd,
 * and where they look for containerd's events.
 */
public final class Stage implements AutoCloseable {

  private final Map<String, Watch> watches = new ConcurrentHashMap<>();
  private final Containerd containerd;
  private final Relay daemonRelay;
  private final Relay eventRelay;
  private final ContainerdClient client;
  private final Events events;

  private Stage(Containerd containerd) {
    this.containerd = containerd;
    BrigDaemon brig = containerd.brig();
    this.daemonRelay =
        Relay.open(
            brig.run().resolve("brigd.sock"),
            brig.ownRun().resolve("brigd.sock"),
            Relay.Form.PLAIN,
            () -> new KeeperTraffic(watches));
    Path events = containerd.directory().resolve("containerd.sock.ttrpc");
    Path aside = containerd.directory().resolve("events.sock");
    try {
      Files.move(events, aside);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    this.eventRelay = Relay.open(events, aside, Relay.Form.TTRPC, () -> new EventTraffic(watches));
    brig.command("version").run().orFail();
    this.client = containerd.client();
    this.events = client.events();
  }

  public static Stage set(Settings settings, ContainerdVersion version) {
    return new Stage(
        Containerd.start(
            settings, version, place -> BrigDaemon.configureApart(settings.prefix(), place)));
  }

  public Containerd containerd() {
    return containerd;
  }

  Events events() {
    return events;
  }

  ContainerdClient client() {
    return client;
  }

  Trial trial(Scene scene, Optional<Point> point) {
    String id = Names.fresh("point");
    return new Trial(scene, point, new Player(client, events, id, scene.command()));
  }

  /** A container that no call is about. */
  TestContainer neighbour() {
    return client.container(Names.fresh("neighbour"), OciSpec.running("sleep", "600"));
  }

  void watch(Watch watch) {
    watches.put(watch.pod(), watch);
  }

  void unwatch(Watch watch) {
    watches.remove(watch.pod());
  }

  /** Kills brigd and waits for its end. */
  void killDaemon() {
    Eventually.holds("brigd runs", () -> containerd.brig().pid().isPresent());
    int pid = containerd.brig().pid().orElseThrow();
    Processes.signal(pid, Signal.SIGKILL);
    Eventually.holds("brigd is dead", () -> !Processes.alive(pid));
  }

  @Override
  public void close() {
    events.close();
    client.close();
    // The relays outlive the keepers, which would start a daemon of their own without.
    containerd.close();
    daemonRelay.close();
    eventRelay.close();
  }
}
