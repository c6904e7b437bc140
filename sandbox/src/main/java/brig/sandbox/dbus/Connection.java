package brig.sandbox.dbus;

import java.io.EOFException;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/**
 * A connection to a message bus, or to a service that speaks D-Bus on a socket of its own, for one
 * conversation: it has a time for all of it, and closes itself when that is over. One thread's.
 */
public final class Connection implements AutoCloseable {
  /** Signals kept for {@link #awaitSignal}: more than any conversation of ours sees. */
  private static final int MOST_SIGNALS = 1024;

  private static final int LONGEST_LINE = 512;
  private static final String BUS = "org.freedesktop.DBus";
  private static final String BUS_PATH = "/org/freedesktop/DBus";

  private final SocketChannel socket;
  private final Path address;
  private final Duration limit;
  private final long end;
  private final Thread watch;
  private final Deque<Message> signals = new ArrayDeque<>();
  private long lastSerial;

  private Connection(SocketChannel socket, Path address, Duration limit) {
    this.socket = socket;
    this.address = address;
    this.limit = limit;
    this.end = System.nanoTime() + limit.toNanos();
    this.watch = Thread.ofVirtual().name("dbus deadline").start(this::closeInTime);
  }

  private void closeInTime() {
    try {
      Thread.sleep(limit);
      socket.close();
    } catch (InterruptedException | IOException e) {
      // The conversation is over, or its socket is closed as it is.
    }
  }

  /** To a message bus: names are owned there, and signals come from those that were asked for. */
  public static Connection toBus(Path socket, Duration limit) throws DBusException {
    Connection connection = toService(socket, limit);
    try {
      connection.call(BUS, BUS_PATH, BUS, "Hello", "", List.of());
      return connection;
    } catch (DBusException e) {
      connection.close();
      throw e;
    }
  }

  /** To a service itself: no bus between, all of its signals come. */
  public static Connection toService(Path socket, Duration limit) throws DBusException {
    Connection connection;
    try {
      connection =
          new Connection(SocketChannel.open(UnixDomainSocketAddress.of(socket)), socket, limit);
    } catch (IOException e) {
      throw new DBusException.Unreachable(socket + ": " + e.getMessage());
    }
    try {
      connection.authenticate();
      return connection;
    } catch (DBusException e) {
      connection.close();
      throw e;
    }
  }

  /** As the user that the kernel says this process is of. */
  private void authenticate() throws DBusException {
    String uid = HexFormat.of().formatHex(ownUid().getBytes(StandardCharsets.US_ASCII));
    send(("\0AUTH EXTERNAL " + uid + "\r\n").getBytes(StandardCharsets.US_ASCII));
    String answer = line();
    if (!answer.startsWith("OK ")) {
      throw new DBusException.Unreachable(address + ": not let in: " + answer);
    }
    send("BEGIN\r\n".getBytes(StandardCharsets.US_ASCII));
  }

  private static String ownUid() throws DBusException {
    try {
      return String.valueOf(java.nio.file.Files.getAttribute(Path.of("/proc/self"), "unix:uid"));
    } catch (IOException e) {
      throw new DBusException.Unreachable("/proc/self: " + e.getMessage());
    }
  }

  private String line() throws DBusException {
    StringBuilder line = new StringBuilder();
    while (!line.toString().endsWith("\r\n")) {
      if (line.length() > LONGEST_LINE) {
        throw new DBusException.Malformed("an authentication without end");
      }
      line.append((char) (receive(1)[0] & 0xff));
    }
    return line.substring(0, line.length() - 2);
  }

  /** Has the bus pass on signals that match; the rule is in the bus's own words. */
  public void subscribe(String rule) throws DBusException {
    call(BUS, BUS_PATH, BUS, "AddMatch", "s", List.of(rule));
  }

  /** Calls a method and returns what it answers. */
  public List<Object> call(
      String destination,
      String path,
      String iface,
      String member,
      String signature,
      List<Object> body)
      throws DBusException {
    lastSerial++;
    Message call = Message.call(lastSerial, destination, path, iface, member, signature, body);
    send(call.encode());
    while (true) {
      Message message = next(member);
      if (message.replySerial() != call.serial()) {
        keep(message);
        continue;
      }
      if (message.type() == Message.Type.ERROR) {
        throw new DBusException.Refused(message.errorName(), errorText(message));
      }
      if (message.type() == Message.Type.RETURN) {
        return message.body();
      }
    }
  }

  private static String errorText(Message message) {
    return message.signature().startsWith("s") ? (String) message.body().getFirst() : "";
  }

  /**
   * The first signal of this member, kept or to come, that the question has an answer to.
   *
   * @param question about the signal's values; those of other types than awaited are passed over
   */
  public <R> R awaitSignal(
      String iface,
      String member,
      String signature,
      java.util.function.Function<List<Object>, Optional<R>> question)
      throws DBusException {
    while (true) {
      Message message = signals.isEmpty() ? next(member) : signals.remove();
      if (message.type() != Message.Type.SIGNAL
          || !message.iface().equals(iface)
          || !message.member().equals(member)
          || !message.signature().equals(signature)) {
        continue;
      }
      Optional<R> answer = question.apply(message.body());
      if (answer.isPresent()) {
        return answer.get();
      }
    }
  }

  private void keep(Message message) throws DBusException {
    if (message.type() == Message.Type.SIGNAL) {
      if (signals.size() == MOST_SIGNALS) {
        throw new DBusException.Malformed("more than " + MOST_SIGNALS + " signals within one call");
      }
      signals.add(message);
    }
  }

  private Message next(String waitingFor) throws DBusException {
    try {
      byte[] fixed = receive(Message.FIXED);
      int length = Message.length(fixed);
      byte[] rest = receive(length - Message.FIXED);
      byte[] whole = java.util.Arrays.copyOf(fixed, length);
      System.arraycopy(rest, 0, whole, Message.FIXED, rest.length);
      return Message.decode(whole);
    } catch (DBusException.Late e) {
      throw new DBusException.Late(e.getMessage() + ", waiting for " + waitingFor);
    }
  }

  private void send(byte[] bytes) throws DBusException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    try {
      while (buffer.hasRemaining()) {
        socket.write(buffer);
      }
    } catch (IOException e) {
      throw broken(e);
    }
  }

  private byte[] receive(int length) throws DBusException {
    ByteBuffer buffer = ByteBuffer.allocate(length);
    try {
      while (buffer.hasRemaining()) {
        if (socket.read(buffer) < 0) {
          throw new EOFException("closed by the other side");
        }
      }
      return buffer.array();
    } catch (IOException e) {
      throw broken(e);
    }
  }

  private DBusException broken(IOException e) {
    if (e instanceof ClosedChannelException || System.nanoTime() - end >= 0) {
      return new DBusException.Late("no answer within " + limit.toSeconds() + " s");
    }
    return new DBusException.Unreachable(address + ": " + e.getMessage());
  }

  @Override
  public void close() {
    watch.interrupt();
    try {
      socket.close();
    } catch (IOException e) {
      // Closed is what it is to be.
      watch.interrupt();
    }
  }
}
