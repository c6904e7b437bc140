package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.client.UnixChannel;
import brig.testing.kernel.Processes;
import brig.testing.proto.shim.ConnectRequest;
import brig.testing.proto.shim.ConnectResponse;
import brig.testing.proto.shim.StateRequest;
import brig.testing.proto.shim.StateResponse;
import brig.testing.proto.shim.WaitRequest;
import brig.testing.proto.shim.WaitResponse;
import brig.testing.proto.task.Status;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.google.common.util.concurrent.ListenableFuture;
import com.google.protobuf.Message;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status.Code;
import io.grpc.protobuf.ProtoUtils;
import io.grpc.stub.ClientCalls;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import jnr.constants.platform.Signal;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.provider.ArgumentsSource;

/** The task API over gRPC, for containerd and for a plain client at the same socket. */
@Tag("integration")
@ParameterizedClass(
    name = "containerd {0}",
    autoCloseArguments = false,
    allowZeroInvocations = true)
@ArgumentsSource(RunningContainerds.SpeakingGrpc.class)
@OnlyBrig
class GrpcTest extends OwnContainerd {

  static final String CLASS =
      """
      [class.brig]
      api = "grpc"
      grpc_accept_loss = true
      """;

  GrpcTest(Containerd shared) {
    super(shared, CLASS);
  }

  private static <Q extends Message, R extends Message> MethodDescriptor<Q, R> method(
      String name, Q request, R response) {
    return MethodDescriptor.<Q, R>newBuilder()
        .setType(MethodDescriptor.MethodType.UNARY)
        .setFullMethodName("containerd.task.v3.Task/" + name)
        .setRequestMarshaller(ProtoUtils.marshaller(request))
        .setResponseMarshaller(ProtoUtils.marshaller(response))
        .build();
  }

  private static final MethodDescriptor<StateRequest, StateResponse> STATE =
      method("State", StateRequest.getDefaultInstance(), StateResponse.getDefaultInstance());
  private static final MethodDescriptor<WaitRequest, WaitResponse> WAIT =
      method("Wait", WaitRequest.getDefaultInstance(), WaitResponse.getDefaultInstance());
  private static final MethodDescriptor<ConnectRequest, ConnectResponse> CONNECT =
      method("Connect", ConnectRequest.getDefaultInstance(), ConnectResponse.getDefaultInstance());

  /** A call may find the daemon on its way up. */
  private static CallOptions patiently() {
    return CallOptions.DEFAULT.withDeadlineAfter(60, TimeUnit.SECONDS).withWaitForReady();
  }

  private static StateResponse state(ManagedChannel channel, String id) {
    return ClientCalls.blockingUnaryCall(
        channel, STATE, patiently(), StateRequest.newBuilder().setId(id).build());
  }

  /** What {@code start} has told containerd. */
  private static JsonNode told(TestContainer container) {
    try {
      return new ObjectMapper().readTree(container.bundle().resolve("address").toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ManagedChannel channel(TestContainer container) {
    ManagedChannel channel = UnixChannel.open(Path.of(told(container).path("address").asText()));
    keep(() -> UnixChannel.close(channel));
    return channel;
  }

  private List<Path> sockets() {
    try (Stream<Path> files = Files.list(containerd.brig().run().resolve("grpc"))) {
      return files.toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void containerdIsToldOfGrpcAndRunsAContainerToItsExitCode() {
    TestContainer container = container("sh", "-c", "echo out; echo err >&2; exit 42");
    Stdio stdio = Stdio.captured();
    TestProcess init = container.create(stdio);
    assertThat(told(container).path("protocol").asText()).isEqualTo("grpc");
    assertThat(Path.of(told(container).path("address").asText()).getParent())
        .isEqualTo(containerd.brig().run().resolve("grpc"));
    init.start();
    assertThat(init.await().status()).isEqualTo(42);
    assertThat(stdio.stdout()).isEqualTo("out\n");
    assertThat(stdio.stderr()).isEqualTo("err\n");
    assertThat(init.delete().status()).isEqualTo(42);
  }

  @Test
  void execTerminalAndKillWorkAsOverTtrpc() throws IOException {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    ListenableFuture<brig.testing.proto.tasks.WaitResponse> wait = init.exitAhead();
    Ran ran = exec(container, "sh", "-c", "echo served; exit 3");
    assertThat(ran.stdout()).isEqualTo("served\n");
    assertThat(ran.status()).isEqualTo(3);
    Stdio terminal = Stdio.terminal();
    TestProcess shell =
        container
            .exec(
                Names.fresh("exec"),
                container.spec().execProcess("sh", "-c", "tty; read line; exit 4"),
                terminal)
            .start();
    terminal.awaitStdout("/dev/pts/");
    try (RandomAccessFile stdin = terminal.openStdin()) {
      stdin.write('\n');
      assertThat(shell.await().status()).isEqualTo(4);
    }
    shell.delete();
    container.pause();
    assertThat(container.status()).isEqualTo(Status.PAUSED);
    container.resume();
    init.signal(9);
    assertThat(TestProcess.await(wait).status()).isEqualTo(137);
  }

  @Test
  void aPlainClientIsServedAtTheSameSocket() throws Exception {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    ManagedChannel channel = channel(container);
    StateResponse state = state(channel, container.id());
    assertThat(state.getPid()).isEqualTo(init.pid());
    assertThat(state.getStatus()).isEqualTo(Status.RUNNING);
    ListenableFuture<WaitResponse> wait =
        ClientCalls.futureUnaryCall(
            channel.newCall(WAIT, patiently()),
            WaitRequest.newBuilder().setId(container.id()).build());
    ConnectResponse connected =
        ClientCalls.blockingUnaryCall(
            channel,
            CONNECT,
            patiently(),
            ConnectRequest.newBuilder().setId(container.id()).build());
    assertThat(connected.getTaskPid()).isEqualTo(init.pid());
    assertThat(Refusals.of(() -> state(channel, "nobody")).getStatus().getCode())
        .isEqualTo(Code.NOT_FOUND);
    init.signal(15);
    init.signal(9);
    assertThat(wait.get(60, TimeUnit.SECONDS).getExitStatus()).isEqualTo(137);
  }

  /** Says hello as HTTP/2 does, and how many bytes of an answer come. */
  private static final String HELLO =
      """
      $SIG{PIPE} = 'IGNORE';
      my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!\\n";
      $s->syswrite("PRI * HTTP/2.0\\r\\n\\r\\nSM\\r\\n\\r\\n\\0\\0\\0\\4\\0\\0\\0\\0\\0");
      print 0 + ($s->sysread(my $answer, 9) || 0), " bytes\\n";
      """;

  private static Command.Result hello(Path directory, String socket, String... as) {
    List<String> line = new ArrayList<>(List.of(as));
    line.addAll(List.of("perl", "-MIO::Socket::UNIX", "-e", HELLO, socket));
    return new Command(line).directory(directory).run();
  }

  @Test
  void aForeignUserIsTurnedAwayWhateverTheFilesModesSay() throws IOException {
    sleeping().start();
    Path directory = containerd.brig().run().resolve("grpc");
    String socket = sockets().getFirst().getFileName().toString();
    String[] foreign = {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"};
    assertThat(hello(directory, directory + "/" + socket, foreign).stderr())
        .isEqualTo("connect: Permission denied\n");
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx--x--x"));
    Files.setPosixFilePermissions(
        directory.resolve(socket), PosixFilePermissions.fromString("rwxrwxrwx"));
    // By its name where it lies: the directories above still let nobody else through.
    assertThat(hello(directory, socket).orFail().stdout()).isEqualTo("9 bytes\n");
    assertThat(hello(directory, socket, foreign).orFail().stdout()).isEqualTo("0 bytes\n");
    assertThat(containerd.brig().log()).contains("connection of a foreign user turned away");
  }

  @Test
  void containerdsRestartIsSurvived() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    containerd.stop();
    containerd.startAgain();
    assertThat(container.status()).isEqualTo(Status.RUNNING);
    assertThat(init.state().getPid()).isEqualTo(init.pid());
    assertThat(exec(container, "echo", "served").stdout()).isEqualTo("served\n");
  }

  @Test
  void deletionLeavesNoSocket() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    assertThat(sockets()).hasSize(1);
    init.signal(9);
    init.await();
    init.delete();
    Eventually.holds("the pod's socket is gone", () -> sockets().isEmpty());
  }

  @Test
  void theNextDaemonServesTheSameSocketsAndKnowsTheExits() throws Exception {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    ManagedChannel channel = channel(container);
    // containerd itself takes a shim's lost connection for its end; it looks at the next one when
    // it comes back.
    containerd.stop();
    killDaemon();
    assertThat(state(channel, container.id()).getPid()).isEqualTo(init.pid());
    assertThat(Processes.alive(init.pid())).isTrue();
    containerd.startAgain();
    assertThat(exec(container, "echo", "served again").stdout()).isEqualTo("served again\n");
    Processes.signal(init.pid(), Signal.SIGKILL);
    WaitResponse exit =
        ClientCalls.blockingUnaryCall(
            channel, WAIT, patiently(), WaitRequest.newBuilder().setId(container.id()).build());
    assertThat(exit.getExitStatus()).isEqualTo(137);
  }

  @Test
  void containerdTakesALostDaemonForTheContainersEndWhichIsWhatTheClassAccepts() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    var events = keep(client.events());
    killDaemon();
    assertThat(events.until(container.id(), "/tasks/delete").stream().map(Object::toString))
        .contains("/tasks/exit");
    Eventually.holds("the process is gone", () -> !Processes.alive(init.pid()));
    Eventually.holds("the bundle is gone", () -> !Files.exists(container.bundle()));
    // And the next container is served.
    assertThat(run("echo", "served again").stdout()).isEqualTo("served again\n");
  }

  private void killDaemon() {
    int pid =
        containerd
            .brig()
            .pid()
            .orElseThrow(() -> new AssertionError("brigd doesn't run: " + containerd.brig().log()));
    Processes.signal(pid, Signal.SIGKILL);
    Eventually.holds("brigd is dead", () -> !Processes.alive(pid));
  }
}
