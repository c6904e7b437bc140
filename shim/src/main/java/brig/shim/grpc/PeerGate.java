package brig.shim.grpc;

import brig.shim.log.Log;
import brig.shim.relay.Peers;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler.Sharable;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.socket.nio.NioChannelOption;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;

/** Stands before the acceptor of a listening channel and lets only those in who may speak. */
@Sharable
final class PeerGate extends ChannelInboundHandlerAdapter {
  private final Peers peers;
  private final Log log;

  PeerGate(Peers peers, Log log) {
    this.peers = peers;
    this.log = log;
  }

  @Override
  public void channelRead(ChannelHandlerContext context, Object message) {
    Channel accepted = (Channel) message;
    UnixDomainPrincipal peer =
        accepted.config().getOption(NioChannelOption.of(ExtendedSocketOptions.SO_PEERCRED));
    if (peer != null && peers.mayOpen(peer.user())) {
      context.fireChannelRead(accepted);
    } else {
      String user = peer == null ? "unknown" : peer.user().getName();
      log.with("user", user).warn("connection of a foreign user turned away");
      accepted.unsafe().closeForcibly();
    }
  }
}
