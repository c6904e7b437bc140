package brig.testing.client;

import io.grpc.ManagedChannel;
import io.grpc.netty.NettyChannelBuilder;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;

/** gRPC over a unix socket. */
public final class UnixChannel {

  /** All channels share two daemon threads. */
  private static final EventLoopGroup LOOPS =
      new MultiThreadIoEventLoopGroup(
          2, new DefaultThreadFactory("grpc", true), NioIoHandler.newFactory());

  /** Kept, since the logging framework forgets settings of loggers that nobody holds. */
  private static final Logger NETTY = Logger.getLogger("io.netty.bootstrap");

  static {
    // It warns of TCP's keep-alive, which gRPC asks for and a unix socket hasn't.
    NETTY.setLevel(Level.SEVERE);
  }

  private UnixChannel() {}

  public static ManagedChannel open(Path socket) {
    return NettyChannelBuilder.forAddress(UnixDomainSocketAddress.of(socket))
        .eventLoopGroup(LOOPS)
        .channelType(NioDomainSocketChannel.class, UnixDomainSocketAddress.class)
        .overrideAuthority("localhost")
        .usePlaintext()
        .maxInboundMessageSize(64 << 20)
        .build();
  }

  public static void close(ManagedChannel channel) {
    channel.shutdownNow();
    try {
      channel.awaitTermination(10, TimeUnit.SECONDS);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
