package brig.sandbox.dbus;

import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

/** A service on a socket of its own, as systemd's, that answers calls by a script. */
public final class FakePeer implements AutoCloseable {

  /** What is sent in answer to a call. */
  public sealed interface Answer {
    record Return(String signature, List<Object> body) implements Answer {}

    record Error(String name) implements Answer {}

    record Signal(String iface, String member, String signature, List<Object> body)
        implements Answer {}

    record Bytes(byte[] bytes) implements Answer {}

    /** The connection is closed. */
    record Hangup() implements Answer {}
  }

  /** A call that came. */
  public record Call(String member, List<Object> body) {}

  private final ServerSocketChannel listener;
  private final Function<Call, List<Answer>> script;
  private final List<Call> calls = new ArrayList<>();

  public FakePeer(Path socket, Function<Call, List<Answer>> script) throws IOException {
    this.listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    this.script = script;
    listener.bind(UnixDomainSocketAddress.of(socket));
    Thread.ofVirtual().start(this::accept);
  }

  public synchronized List<Call> calls() {
    return List.copyOf(calls);
  }

  public List<String> members() {
    return calls().stream().map(Call::member).toList();
  }

  private void accept() {
    try {
      while (true) {
        SocketChannel client = listener.accept();
        Thread.ofVirtual().start(() -> serve(client));
      }
    } catch (IOException e) {
      // Closed: the test is over.
      Thread.currentThread().interrupt();
    }
  }

  private void serve(SocketChannel client) {
    try (client) {
      DataInputStream in = new DataInputStream(Channels.newInputStream(client));
      if (!line(in).startsWith("\0AUTH EXTERNAL ")) {
        throw new IOException("no authentication");
      }
      send(client, "OK 0123456789abcdef0123456789abcdef\r\n".getBytes(StandardCharsets.US_ASCII));
      if (!line(in).equals("BEGIN")) {
        throw new IOException("no beginning");
      }
      while (answer(client, Message.decode(message(in)))) {
        continue;
      }
    } catch (EOFException e) {
      // The client has gone.
      Thread.currentThread().interrupt();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (DBusException e) {
      throw new IllegalStateException(e);
    }
  }

  private boolean answer(SocketChannel client, Message message) throws IOException, DBusException {
    Call call = new Call(message.member(), message.body());
    synchronized (this) {
      calls.add(call);
    }
    for (Answer answer : script.apply(call)) {
      switch (answer) {
        case Answer.Return(String signature, List<Object> body) ->
            send(client, reply(Message.Type.RETURN, message, "", signature, body));
        case Answer.Error(String name) ->
            send(client, reply(Message.Type.ERROR, message, name, "s", List.of("because")));
        case Answer.Signal(String iface, String member, String signature, List<Object> body) ->
            send(
                client,
                new Message(Message.Type.SIGNAL, 77, "/", iface, member, "", 0, "", signature, body)
                    .encode());
        case Answer.Bytes(byte[] bytes) -> send(client, bytes);
        case Answer.Hangup() -> {
          return false;
        }
      }
    }
    return true;
  }

  private static byte[] reply(
      Message.Type type, Message call, String error, String signature, List<Object> body)
      throws DBusException {
    return new Message(type, 78, "", "", "", error, call.serial(), "", signature, body).encode();
  }

  private static String line(DataInputStream in) throws IOException {
    StringBuilder line = new StringBuilder();
    while (!line.toString().endsWith("\r\n")) {
      line.append((char) in.readUnsignedByte());
    }
    return line.substring(0, line.length() - 2);
  }

  private static byte[] message(DataInputStream in) throws IOException, DBusException {
    byte[] fixed = in.readNBytes(Message.FIXED);
    if (fixed.length < Message.FIXED) {
      throw new EOFException();
    }
    byte[] whole = java.util.Arrays.copyOf(fixed, Message.length(fixed));
    in.readFully(whole, Message.FIXED, whole.length - Message.FIXED);
    return whole;
  }

  private static void send(SocketChannel client, byte[] bytes) throws IOException {
    ByteBuffer buffer = ByteBuffer.wrap(bytes);
    while (buffer.hasRemaining()) {
      client.write(buffer);
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
