package brig.shim.grpc;

import brig.shim.daemon.PodDoors;
import brig.shim.log.Log;
import brig.shim.relay.KeeperCalls;
import brig.shim.relay.Peers;
import io.grpc.Server;
import io.grpc.ServerServiceDefinition;
import io.grpc.netty.NettyServerBuilder;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.logging.Level;
import java.util.logging.Logger;
import java.util.regex.Pattern;

/**
 * Opens the doors of pods: one socket each, {@code <run>/grpc/<keeper's instance>}, which is the
 * same for every daemon that the keeper meets.
 */
public final class Doors implements PodDoors {
  /** What a socket's path may have, as containerd checks it. */
  static final int LONGEST_PATH = 106;

  /** As a ttrpc frame's. */
  private static final int LONGEST_MESSAGE = 4 << 20;

  private static final Pattern INSTANCE = Pattern.compile("[0-9a-f]{32}");

  /** Kept, since the logging framework forgets settings of loggers that nobody holds. */
  private static final Logger NETTY = Logger.getLogger("io.netty.bootstrap");

  private final Path directory;
  private final List<ServerServiceDefinition> services;
  private final PeerGate gate;
  private final EventLoopGroup loop;
  private final Executor handlers = Executors.newVirtualThreadPerTaskExecutor();

  /**
   * Takes away what an earlier daemon has left.
   *
   * @param run the run directory
   * @param services whose methods each pod serves
   */
  public Doors(Path run, List<ServerServiceDefinition> services, Peers peers, Log log)
      throws IOException {
    this.directory = run.resolve("grpc");
    this.services = List.copyOf(services);
    this.gate = new PeerGate(peers, log);
    // It warns of TCP's keep-alive, which gRPC asks for and a unix socket hasn't.
    NETTY.setLevel(Level.SEVERE);
    this.loop =
        new MultiThreadIoEventLoopGroup(
            1, new DefaultThreadFactory("grpc", true), NioIoHandler.newFactory());
    Files.createDirectories(
        directory,
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory)) {
      for (Path socket : left) {
        Files.delete(socket);
      }
    }
  }

  @Override
  public Door open(String instance, KeeperCalls calls) throws IOException {
    if (!INSTANCE.matcher(instance).matches()) {
      throw new IOException("serve gRPC: the keeper's instance is no number of 32 hex digits");
    }
    Path path = directory.resolve(instance);
    if (path.toString().length() > LONGEST_PATH) {
      throw new IOException(
          "serve gRPC: "
              + path
              + ": longer than the "
              + LONGEST_PATH
              + " bytes of a socket's path; set run in [paths] of brig.toml to a shorter directory");
    }
    Files.deleteIfExists(path);
    ForwardedService forwarded = new ForwardedService(calls);
    NettyServerBuilder server =
        NettyServerBuilder.forAddress(UnixDomainSocketAddress.of(path))
            .channelFactory(this::listener)
            .bossEventLoopGroup(loop)
            .workerEventLoopGroup(loop)
            .executor(handlers)
            .maxInboundMessageSize(LONGEST_MESSAGE)
            .maxConcurrentCallsPerConnection(KeeperCalls.MOST);
    services.forEach(service -> server.addService(forwarded.of(service)));
    Server started = server.build().start();
    Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    return new NettyDoor(path, started);
  }

  private ServerChannel listener() {
    ServerChannel listener = new NioServerDomainSocketChannel();
    listener.pipeline().addLast(gate);
    return listener;
  }
}
