package brig.shim.relay;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.Command;
import brig.proto.keeper.Drops;
import brig.proto.keeper.FromKeeper;
import brig.proto.keeper.Hello;
import brig.proto.keeper.Opening;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Request;
import brig.proto.keeper.StepResult;
import brig.proto.keeper.ToKeeper;
import brig.proto.keeper.Welcome;
import brig.shim.log.Log;
import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class RelayServerTest {
  private static final Opening HELLO =
      Opening.newBuilder().setKeeper(Hello.newBuilder().setGroup("pod")).build();

  @TempDir Path directory;

  private final CompletableFuture<Void> closed = new CompletableFuture<>();
  private final CompletableFuture<Drops> dropped = new CompletableFuture<>();
  private final CompletableFuture<Throwable> stepFault = new CompletableFuture<>();
  private RelayServer server;

  @BeforeEach
  void serve() throws IOException {
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(directory.resolve("s")));
    server =
        new RelayServer(
            listener,
            Peers.ownUserAndRoot(),
            new Echo(),
            Meter.NONE,
            Log.to(new ByteArrayOutputStream(), Clock.systemUTC()));
    Thread.ofVirtual().start(server::run);
  }

  @AfterEach
  void close() throws IOException {
    server.close();
  }

  @Test
  void aConnectionThatCannotBeAcceptedAtFirstIsServedLater() throws Exception {
    server.close();
    ServerSocketChannel listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(directory.resolve("other")));
    ByteArrayOutputStream lines = new ByteArrayOutputStream();
    server =
        new RelayServer(
            new WithoutDescriptors(listener, 2),
            Peers.ownUserAndRoot(),
            new Echo(),
            Meter.NONE,
            Log.to(lines, Clock.systemUTC()));
    Thread running = Thread.ofVirtual().start(server::run);
    try (Client client = new Client(directory.resolve("other"))) {
      client.send(HELLO);
      assertThat(client.receive().getWelcome().getProgramVersion()).isEqualTo("echo");
    }
    assertThat(lines.toString(StandardCharsets.UTF_8))
        .containsOnlyOnce("connections can't be accepted at the moment: Too many open files");
    server.close();
    assertThat(running.join(Duration.ofSeconds(20))).isTrue();
  }

  /** A listener of a process that has run out of descriptors for a while. */
  private static final class WithoutDescriptors extends ServerSocketChannel {
    private final ServerSocketChannel listener;
    private int failures;

    WithoutDescriptors(ServerSocketChannel listener, int failures) {
      super(listener.provider());
      this.listener = listener;
      this.failures = failures;
    }

    @Override
    public SocketChannel accept() throws IOException {
      if (failures > 0) {
        failures--;
        throw new IOException("Too many open files");
      }
      return listener.accept();
    }

    @Override
    protected void implCloseSelectableChannel() throws IOException {
      listener.close();
    }

    @Override
    protected void implConfigureBlocking(boolean block) throws IOException {
      listener.configureBlocking(block);
    }

    @Override
    public ServerSocketChannel bind(SocketAddress local, int backlog) throws IOException {
      return listener.bind(local, backlog);
    }

    @Override
    public <T> ServerSocketChannel setOption(SocketOption<T> name, T value) throws IOException {
      return listener.setOption(name, value);
    }

    @Override
    public <T> T getOption(SocketOption<T> name) throws IOException {
      return listener.getOption(name);
    }

    @Override
    public Set<SocketOption<?>> supportedOptions() {
      return listener.supportedOptions();
    }

    @Override
    public ServerSocket socket() {
      return listener.socket();
    }

    @Override
    public SocketAddress getLocalAddress() throws IOException {
      return listener.getLocalAddress();
    }
  }

  @Test
  void aRequestIsHandedOnAndItsReplyComesBack() throws Exception {
    try (Client client = new Client()) {
      client.send(HELLO);
      assertThat(client.receive().getWelcome().getProgramVersion()).isEqualTo("echo");
      client.send(request(7, "answer"));
      Reply reply = client.receive().getReply();
      assertThat(reply.getSeq()).isEqualTo(7);
      assertThat(reply.getMessage()).isEqualTo("answer");
    }
  }

  @Test
  void aStepThatWaitsEndsWithItsConnection() throws Exception {
    try (Client client = new Client()) {
      client.send(HELLO);
      client.receive();
      client.send(request(1, "step"));
      assertThat(client.receive().getStep().getStep()).isEqualTo(1);
    }
    assertThat(stepFault.get(20, TimeUnit.SECONDS)).isInstanceOf(KeeperLost.class);
    closed.get(20, TimeUnit.SECONDS);
  }

  @Test
  void aResultNobodyAskedForIsPassedOver() throws Exception {
    try (Client client = new Client()) {
      client.send(HELLO);
      client.receive();
      client.send(
          FromKeeper.newBuilder()
              .setStepResult(StepResult.newBuilder().setSeq(5).setStep(9))
              .build());
      client.send(request(1, "answer"));
      assertThat(client.receive().getReply().getSeq()).isEqualTo(1);
    }
  }

  @Test
  @Timeout(60)
  void aSequenceNumberUsedTwiceEndsTheConnection() throws Exception {
    try (Client client = new Client()) {
      client.send(HELLO);
      client.receive();
      client.send(request(1, "step"));
      client.send(request(1, "step"));
      // The first one's step may come before the end, or not at all.
      assertThat(client.saysUntilTheEnd()).isLessThanOrEqualTo(1);
    }
  }

  @Test
  void moreRequestsThanMayWaitAreRefusedOneByOne() throws Exception {
    try (Client client = new Client()) {
      client.send(HELLO);
      client.receive();
      for (int i = 1; i <= KeeperConnection.MAX_REQUESTS; i++) {
        client.send(request(i, "silence"));
      }
      client.send(request(100_000, "answer"));
      Reply reply = client.receive().getReply();
      assertThat(reply.getSeq()).isEqualTo(100_000);
      assertThat(reply.getCode()).isEqualTo(8);
    }
  }

  @Test
  void whatAKeeperDroppedIsHandedOn() throws Exception {
    Drops drops = Drops.newBuilder().setEvents(7).setLogLines(8).setOutputs(9).build();
    try (Client client = new Client()) {
      client.send(HELLO);
      client.receive();
      client.send(FromKeeper.newBuilder().setDrops(drops).build());
      assertThat(dropped.get(20, TimeUnit.SECONDS)).isEqualTo(drops);
    }
  }

  @Test
  void theBytesOfAllRequestsThatAreServedHaveABound() throws Exception {
    int length = 5 << 20;
    try (Client client = new Client();
        Client other = new Client()) {
      client.send(HELLO);
      client.receive();
      other.send(HELLO);
      other.receive();
      for (int i = 1; i <= RequestBudget.BYTES / length; i++) {
        client.send(request(i, "silence", length));
      }
      // One after the other on one connection: by now the others have been taken.
      client.send(request(100, "answer"));
      assertThat(client.receive().getReply().getCode()).isZero();
      other.send(request(1, "answer", length));
      assertThat(other.receive().getReply().getCode()).isEqualTo(8);
      FromKeeper.Builder begun = request(2, "answer", length).toBuilder();
      begun.getRequestBuilder().setReplayed(true);
      other.send(begun.build());
      assertThat(other.receive().getReply().getCode()).as("one begun before").isZero();
      client.close();
      closed.get(20, TimeUnit.SECONDS);
      other.send(request(3, "answer", length));
      assertThat(other.receive().getReply().getCode()).isZero();
    }
  }

  @Test
  void garbageEndsItsOwnConnectionAndNoOther() throws Exception {
    try (Client good = new Client()) {
      good.send(HELLO);
      good.receive();
      Random random = new Random(42);
      for (int i = 0; i < 200; i++) {
        try (Client bad = new Client()) {
          if (i % 2 == 0) {
            bad.send(HELLO);
          }
          byte[] bytes = new byte[1 + random.nextInt(300)];
          random.nextBytes(bytes);
          if (i % 3 == 0) {
            bad.write(ByteBuffer.allocate(4).putInt(bytes.length).array());
          }
          bad.write(bytes);
        }
      }
      good.send(request(1, "answer"));
      assertThat(good.receive().getReply().getSeq()).isEqualTo(1);
    }
  }

  @Test
  void aFrameBeyondTheLimitEndsTheConnectionBeforeItsBody() throws Exception {
    try (Client client = new Client()) {
      client.write(ByteBuffer.allocate(4).putInt(FrameDecoder.MAX_FRAME + 1).array());
      assertThat(client.isEnded()).isTrue();
    }
  }

  @Test
  void whoSaysNothingIsTurnedAwayInTime() throws Exception {
    try (Client client = new Client()) {
      assertThat(client.isEnded()).isTrue();
    }
  }

  @Test
  void aRefusedKeeperIsTreatedNoFurther() throws Exception {
    try (Client client = new Client()) {
      client.send(Opening.newBuilder().setKeeper(Hello.newBuilder().setGroup("refused")).build());
      assertThat(client.receive().getWelcome().getRefused()).isEqualTo("as asked");
      client.send(request(1, "answer"));
      assertThat(client.isEnded()).isTrue();
    }
  }

  @Test
  void aFaultOfAHandlerEndsNothingButItsConnection() throws Exception {
    try (Client client = new Client();
        Client other = new Client()) {
      client.send(HELLO);
      client.receive();
      client.send(request(1, "fault"));
      assertThat(client.isEnded()).isTrue();
      other.send(HELLO);
      assertThat(other.receive().hasWelcome()).isTrue();
    }
  }

  private static FromKeeper request(long seq, String method) {
    return request(seq, method, 0);
  }

  private static FromKeeper request(long seq, String method, int length) {
    return FromKeeper.newBuilder()
        .setRequest(
            Request.newBuilder()
                .setSeq(seq)
                .setMethod(method)
                .setPayload(ByteString.copyFrom(new byte[length])))
        .build();
  }

  /** Does what the request's method says. */
  private final class Echo implements RelayServer.Roles {
    @Override
    public RelayServer.Greeting keeper(Hello hello, KeeperConnection connection) {
      Welcome.Builder welcome = Welcome.newBuilder().setProgramVersion("echo");
      if (hello.getGroup().equals("refused")) {
        return new RelayServer.Greeting(welcome.setRefused("as asked").build(), Optional.empty());
      }
      return new RelayServer.Greeting(welcome.build(), Optional.of(new Handler(connection)));
    }

    @Override
    public int command(Command command, CommandOutput output) throws IOException {
      return 0;
    }
  }

  private final class Handler implements KeeperConnection.Handler {
    private final KeeperConnection connection;

    Handler(KeeperConnection connection) {
      this.connection = connection;
    }

    @Override
    public void request(Request request, Steps steps) {
      switch (request.getMethod()) {
        case "answer" ->
            connection.reply(
                request.getSeq(),
                () ->
                    Reply.newBuilder()
                        .setSeq(request.getSeq())
                        .setMessage(request.getMethod())
                        .build());
        case "step" ->
            Thread.ofVirtual()
                .start(() -> {
                  try {
                    steps.listProcesses("c");
                  } catch (StepFailure | KeeperLost e) {
                    stepFault.complete(e);
                  }
                });
        case "fault" -> throw new StackOverflowError("as if");
        default -> {}
      }
    }

    @Override
    public void drops(Drops drops) {
      dropped.complete(drops);
    }

    @Override
    public void closed() {
      closed.complete(null);
    }
  }

  private final class Client implements AutoCloseable {
    private final SocketChannel socket;
    private final DataInputStream in;

    Client() throws IOException {
      this(directory.resolve("s"));
    }

    Client(Path path) throws IOException {
      socket = SocketChannel.open(UnixDomainSocketAddress.of(path));
      in = new DataInputStream(Channels.newInputStream(socket));
    }

    void send(MessageLite message) throws IOException {
      byte[] body = message.toByteArray();
      write(ByteBuffer.allocate(4 + body.length).putInt(body.length).put(body).array());
    }

    void write(byte[] bytes) throws IOException {
      ByteBuffer buffer = ByteBuffer.wrap(bytes);
      while (buffer.hasRemaining()) {
        socket.write(buffer);
      }
    }

    ToKeeper receive() throws IOException {
      return ToKeeper.parseFrom(in.readNBytes(in.readInt()));
    }

    /** Blocks until the server says something or ends the connection. */
    boolean isEnded() {
      try {
        return in.read() < 0;
      } catch (IOException e) {
        return true;
      }
    }

    /** Blocks until the server ends the connection; how many messages came before. */
    int saysUntilTheEnd() {
      int messages = 0;
      try {
        while (true) {
          receive();
          messages++;
        }
      } catch (IOException e) {
        return messages;
      }
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
