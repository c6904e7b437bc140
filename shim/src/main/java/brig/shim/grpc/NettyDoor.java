package brig.shim.grpc;

import brig.shim.daemon.PodDoors;
import io.grpc.Server;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;

/** A listening server and the name of its socket. */
final class NettyDoor implements PodDoors.Door {
  private final Path path;
  private final Server server;
  private final AtomicBoolean closed = new AtomicBoolean();

  NettyDoor(Path path, Server server) {
    this.path = path;
    this.server = server;
  }

  @Override
  public Path path() {
    return path;
  }

  @Override
  public void close() throws IOException {
    if (closed.compareAndSet(false, true)) {
      Files.deleteIfExists(path);
      server.shutdown();
    }
  }
}
