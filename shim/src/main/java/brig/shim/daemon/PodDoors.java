package brig.shim.daemon;

import brig.shim.relay.KeeperCalls;
import java.io.IOException;
import java.nio.file.Path;

/** Opens sockets at which pods are called over gRPC. */
public interface PodDoors {
  /**
   * Opens a pod's door; whoever connects is served from now on.
   *
   * @param instance the keeper's
   * @throws IOException where the socket can't be had, with what would help
   */
  Door open(String instance, KeeperCalls calls) throws IOException;

  /** The socket of one pod; open until it is closed or the daemon ends. */
  interface Door extends AutoCloseable {
    Path path();

    /** Ends the listening at once; the last answers still go out. */
    @Override
    void close() throws IOException;
  }
}
