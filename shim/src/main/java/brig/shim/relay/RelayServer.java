package brig.shim.relay;

import brig.proto.keeper.Command;
import brig.proto.keeper.Hello;
import brig.proto.keeper.Opening;
import brig.proto.keeper.Welcome;
import brig.shim.log.Log;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.time.Duration;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.LockSupport;

/**
 * Accepts connections on the daemon's socket and finds out by the first frame who each is.
 *
 * <p>One virtual thread reads each connection. Whatever a peer sends, only its own connection ends.
 */
public final class RelayServer implements AutoCloseable {
  /** A peer that has not said who it is by then is turned away. */
  public static final Duration OPENING_LIMIT = Duration.ofSeconds(5);

  /** Connections at one time; more are closed at once. */
  public static final int MAX_CONNECTIONS = 10_000;

  private static final Duration ACCEPT_PAUSE = Duration.ofMillis(100);

  /** Takes the roles that a peer can have. */
  public interface Roles {
    /** Decides on a keeper. A refused Welcome needs no handler. */
    Greeting keeper(Hello hello, KeeperConnection connection);

    /** Runs a command; its exit code. */
    int command(Command command, CommandOutput output) throws IOException;
  }

  /** The answer to a Hello: the handler is there exactly if the Welcome refuses nothing. */
  public record Greeting(Welcome welcome, Optional<KeeperConnection.Handler> handler) {}

  private final ServerSocketChannel listener;
  private final Peers peers;
  private final Roles roles;
  private final Meter meter;
  private final Log log;
  private final Set<SocketChannel> connections = ConcurrentHashMap.newKeySet();
  private final RequestBudget budget = new RequestBudget();

  public RelayServer(ServerSocketChannel listener, Peers peers, Roles roles, Meter meter, Log log) {
    this.listener = listener;
    this.peers = peers;
    this.roles = roles;
    this.meter = meter;
    this.log = log;
  }

  /**
   * Accepts until {@link #close}. What can't be accepted at the moment, mostly for want of
   * descriptors, waits in the kernel.
   */
  public void run() {
    boolean failing = false;
    while (listener.isOpen()) {
      try {
        accept();
        failing = false;
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        if (!failing) {
          log.warn("connections can't be accepted at the moment: " + e.getMessage());
        }
        failing = true;
        LockSupport.parkNanos(ACCEPT_PAUSE.toNanos());
      }
    }
  }

  private void accept() throws IOException {
    SocketChannel socket = listener.accept();
    if (connections.size() >= MAX_CONNECTIONS) {
      meter.turnedAway();
      log.warn("too many connections, one turned away");
      socket.close();
      return;
    }
    connections.add(socket);
    Thread.ofVirtual().name("connection").start(() -> serve(socket));
  }

  /** Stops accepting and ends every connection; keepers keep their requests for the next daemon. */
  @Override
  public void close() throws IOException {
    listener.close();
    for (SocketChannel socket : connections) {
      socket.close();
    }
  }

  private void serve(SocketChannel socket) {
    Peer peer = new Peer(new FrameChannel(socket));
    try (socket) {
      if (!peers.mayOpen(socket)) {
        meter.turnedAway();
        log.with("user", Peers.nameOf(socket)).warn("connection of a foreign user turned away");
        return;
      }
      Thread limit = Thread.ofVirtual().start(() -> endIfSilent(socket, peer));
      try {
        peer.channel.readTo(new FrameDecoder(peer::frame));
      } finally {
        limit.interrupt();
      }
    } catch (ClosedChannelException e) {
      // This side closed it.
    } catch (IOException e) {
      log.warn("connection ended: " + e.getMessage());
    } catch (Throwable e) {
      log.error("connection ended by a fault", e);
    } finally {
      connections.remove(socket);
      peer.ended();
    }
  }

  private void endIfSilent(SocketChannel socket, Peer peer) {
    try {
      Thread.sleep(OPENING_LIMIT);
      if (!peer.opened) {
        log.warn("peer said nothing, connection ended");
        socket.close();
      }
    } catch (InterruptedException e) {
      // It ended by itself.
    } catch (IOException e) {
      log.warn("connection not closed cleanly: " + e.getMessage());
    }
  }

  /** One connection from its first frame on. */
  private final class Peer {
    private final FrameChannel channel;
    private volatile boolean opened;
    private Optional<KeeperConnection> keeper = Optional.empty();
    private Optional<KeeperConnection.Handler> handler = Optional.empty();

    Peer(FrameChannel channel) {
      this.channel = channel;
    }

    void frame(ByteString body) throws FrameException {
      if (!opened) {
        open(body);
      } else if (keeper.isPresent() && handler.isPresent()) {
        keeper.get().frame(body, handler.get());
      } else {
        throw new FrameException("nothing more was expected from this peer");
      }
    }

    private void open(ByteString body) throws FrameException {
      Opening opening;
      try {
        opening = Opening.parseFrom(body);
      } catch (InvalidProtocolBufferException e) {
        throw new FrameException("first frame is no Opening", e);
      }
      opened = true;
      switch (opening.getRoleCase()) {
        case KEEPER -> greet(opening.getKeeper());
        case COMMAND -> Thread.ofVirtual().name("command").start(() -> run(opening.getCommand()));
        case ROLE_NOT_SET -> throw new FrameException("Opening without a role");
      }
    }

    private void greet(Hello hello) throws FrameException {
      KeeperConnection connection =
          new KeeperConnection(channel, budget, meter, log.with("pod", hello.getGroup()));
      keeper = Optional.of(connection);
      Greeting greeting = roles.keeper(hello, connection);
      handler = greeting.handler();
      try {
        connection.welcome(greeting.welcome());
      } catch (IOException e) {
        throw new FrameException("welcome not sent", e);
      }
    }

    private void run(Command command) {
      CommandOutput output = new CommandOutput(channel);
      try (channel) {
        output.exit(roles.command(command, output));
      } catch (IOException e) {
        log.warn("command's client left: " + e.getMessage());
      } catch (Throwable e) {
        log.error("command ended by a fault", e);
      }
    }

    void ended() {
      keeper.ifPresent(KeeperConnection::end);
      handler.ifPresent(KeeperConnection.Handler::closed);
    }
  }
}
