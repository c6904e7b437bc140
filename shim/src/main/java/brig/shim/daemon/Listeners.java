package brig.shim.daemon;

import brig.sandbox.SandboxConfig;
import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.Channel;
import java.nio.channels.ServerSocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;

/**
 * The daemon's listening socket: handed down as standard input by whoever started it (the launcher
 * binds it first, so that nobody ever finds it refusing), else bound here.
 */
final class Listeners {
  private static final int BACKLOG = 1024;

  private Listeners() {}

  static ServerSocketChannel open(Options options, SandboxConfig config) throws IOException {
    if (options.listen().isEmpty()) {
      Channel inherited = System.inheritedChannel();
      if (inherited instanceof ServerSocketChannel listener) {
        return listener;
      }
    }
    return bind(options.listen().orElse(Path.of(config.paths().run(), "brigd.sock")));
  }

  /** Replaces a socket that is there: who calls this way sees to it that nobody serves it. */
  static ServerSocketChannel bind(Path path) throws IOException {
    Files.deleteIfExists(path);
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    try {
      listener.bind(UnixDomainSocketAddress.of(path), BACKLOG);
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    } catch (IOException e) {
      listener.close();
      throw e;
    }
    return listener;
  }
}
