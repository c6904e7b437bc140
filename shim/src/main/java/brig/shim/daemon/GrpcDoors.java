package brig.shim.daemon;

import brig.shim.log.Log;
import brig.shim.relay.KeeperCalls;
import brig.shim.relay.Peers;
import io.grpc.ServerServiceDefinition;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/**
 * The doors of pods that are called over gRPC, with nothing of gRPC's network loaded before the
 * first.
 */
final class GrpcDoors implements PodDoors {
  private static final String IMPLEMENTATION = "brig.shim.grpc.Doors";

  private final Path run;
  private final List<ServerServiceDefinition> services;
  private final Peers peers;
  private final Log log;
  private Optional<PodDoors> doors = Optional.empty();

  GrpcDoors(Path run, List<ServerServiceDefinition> services, Peers peers, Log log) {
    this.run = run;
    this.services = services;
    this.peers = peers;
    this.log = log;
  }

  @Override
  public synchronized Door open(String instance, KeeperCalls calls) throws IOException {
    if (doors.isEmpty()) {
      doors = Optional.of(load());
    }
    return doors.get().open(instance, calls);
  }

  private PodDoors load() throws IOException {
    try {
      return (PodDoors)
          GrpcLoader.here()
              .loadClass(IMPLEMENTATION)
              .getConstructor(Path.class, List.class, Peers.class, Log.class)
              .newInstance(run, services, peers, log);
    } catch (ReflectiveOperationException | LinkageError e) {
      // The constructor's own failures are causes.
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new IOException(
          "serve gRPC: " + cause + "; install Brig again if its files are incomplete", e);
    }
  }
}
