package brig.testing.shim;

import brig.testing.proto.shim.ConnectRequest;
import brig.testing.proto.shim.ConnectResponse;
import brig.testing.proto.shim.StateRequest;
import brig.testing.proto.shim.StateResponse;
import brig.testing.proto.ttrpc.Request;
import brig.testing.proto.ttrpc.Response;
import brig.testing.proto.ttrpc.Status;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import java.io.EOFException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;

/** A connection to a shim without containerd in between, with one call at a time. */
public final class ShimSocket implements AutoCloseable {

  private static final int HEADER = 10;
  private static final byte REQUEST = 1;

  private final UnixSocketChannel channel;
  private final ByteBuffer buffer = ByteBuffer.allocate(1 << 16);
  private final String service;
  private int stream = 1;

  private ShimSocket(String service, UnixSocketChannel channel) {
    this.service = service;
    this.channel = channel;
  }

  /** Connects to the shim that serves a bundle. */
  public static ShimSocket connect(Path bundle) {
    try {
      // containerd 2 keeps address and version in a file of its own, older ones read the shim's.
      Path bootstrap = bundle.resolve("bootstrap.json");
      ObjectNode found = JsonNodeFactory.instance.objectNode();
      if (Files.exists(bootstrap)) {
        found.setAll((ObjectNode) new ObjectMapper().readTree(bootstrap.toFile()));
      } else {
        found.put("address", Files.readString(bundle.resolve("address")).trim());
      }
      String socket = found.path("address").asText().substring("unix://".length());
      return new ShimSocket(
          "containerd.task.v" + Math.max(2, found.path("version").asInt()) + ".Task",
          UnixSocketChannel.open(new UnixSocketAddress(socket)));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public ConnectResponse whoServes(String id) {
    try {
      return ConnectResponse.parseFrom(
          call("Connect", ConnectRequest.newBuilder().setId(id).build()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public StateResponse state(String id) {
    try {
      return StateResponse.parseFrom(call("State", StateRequest.newBuilder().setId(id).build()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A call that must be refused; the status it is refused with. */
  public Status refusal(String method, MessageLite message) {
    try {
      return exchange(request(method, message)).getStatus();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A request that is not one, or not a proper one; the status it is refused with. */
  public Status refusal(byte[] request) {
    try {
      return exchange(request).getStatus();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Makes the container stop and go on. */
  public void pauseAndResume(String id) {
    try {
      // What both are told is an id, as State is.
      call("Pause", StateRequest.newBuilder().setId(id).build());
      call("Resume", StateRequest.newBuilder().setId(id).build());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * Calls about a container without waiting for the answers of those before.
   *
   * @param answers how many are waited for at the end
   * @return their status codes, in the order in which they came
   */
  public List<Integer> flood(String method, String id, int calls, int answers) throws IOException {
    byte[] request = request(method, StateRequest.newBuilder().setId(id).build());
    Thread writer =
        Thread.ofPlatform()
            .start(() -> {
              ByteBuffer frame = ByteBuffer.allocate(HEADER + request.length);
              try {
                for (int i = 0; i < calls; i++) {
                  frame.clear();
                  frame.putInt(request.length).putInt(stream).put(REQUEST).put((byte) 0);
                  frame.put(request).flip();
                  stream += 2;
                  send(frame);
                }
              } catch (IOException e) {
                // Whoever waits for the answers finds it out.
              }
            });
    List<Integer> codes = new ArrayList<>();
    while (codes.size() < answers) {
      buffer.clear();
      receive(HEADER);
      int length = buffer.getInt(0);
      receive(HEADER + length);
      codes.add(Response.parseFrom(buffer.flip().position(HEADER)).getStatus().getCode());
    }
    try {
      writer.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    return codes;
  }

  private ByteString call(String method, MessageLite message) throws IOException {
    Response response = exchange(request(method, message));
    if (response.getStatus().getCode() != 0) {
      throw new IOException(method + ": " + response.getStatus().getMessage());
    }
    return response.getPayload();
  }

  private byte[] request(String method, MessageLite message) {
    return Request.newBuilder()
        .setService(service)
        .setMethod(method)
        .setPayload(message.toByteString())
        .build()
        .toByteArray();
  }

  private Response exchange(byte[] request) throws IOException {
    buffer.clear();
    buffer.putInt(request.length).putInt(stream).put(REQUEST).put((byte) 0).flip();
    send(buffer);
    send(ByteBuffer.wrap(request));
    buffer.clear();
    receive(HEADER);
    int length = buffer.getInt(0);
    if (length > buffer.capacity() - HEADER || buffer.getInt(Integer.BYTES) != stream) {
      throw new IOException("the answer is for another call, or of " + length + " bytes");
    }
    receive(HEADER + length);
    stream += 2;
    return Response.parseFrom(buffer.flip().position(HEADER));
  }

  private void send(ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  private void receive(int until) throws IOException {
    buffer.limit(until);
    while (buffer.position() < until) {
      if (channel.read(buffer) < 0) {
        throw new EOFException("the shim closed the connection");
      }
    }
    buffer.limit(buffer.capacity());
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
