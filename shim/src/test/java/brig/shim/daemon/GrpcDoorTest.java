package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.ConnectResponse;
import brig.proto.containerd.task.CreateTaskResponse;
import brig.proto.containerd.task.StateRequest;
import brig.proto.containerd.task.TaskGrpc;
import brig.proto.containerd.task.WaitResponse;
import brig.sandbox.BrigException;
import com.google.common.util.concurrent.ListenableFuture;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCalls;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioDomainSocketChannel;
import java.io.IOException;
import java.net.UnixDomainSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class GrpcDoorTest {
  private static final EventLoopGroup LOOP =
      new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());

  @TempDir Path run;

  private Brigd brigd;
  private FakeKeeper keeper;
  private ManagedChannel channel;

  @BeforeEach
  void startDaemon() throws IOException, BrigException {
    brigd = new Brigd(run);
    keeper = new FakeKeeper(brigd.socket(), Scripts.host(), Scripts.succeeding(), true);
    channel =
        NettyChannelBuilder.forAddress(UnixDomainSocketAddress.of(keeper.grpcAddress()))
            .eventLoopGroup(LOOP)
            .channelType(NioDomainSocketChannel.class, UnixDomainSocketAddress.class)
            .overrideAuthority("localhost")
            .usePlaintext()
            .build();
  }

  @AfterEach
  void stopDaemon() throws IOException {
    channel.shutdownNow();
    keeper.close();
    brigd.close();
  }

  @AfterAll
  static void stopLoop() {
    LOOP.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  private TaskGrpc.TaskBlockingStub tasks() {
    return TaskGrpc.newBlockingStub(channel).withDeadlineAfter(30, TimeUnit.SECONDS);
  }

  @Test
  void aContainersLifeOverGrpcIsTheSameAsOverTtrpc() throws Exception {
    CreateTaskResponse created = tasks().create(Scripts.create("c1"));
    assertThat(created.getPid()).isEqualTo(1001);
    ListenableFuture<WaitResponse> wait =
        TaskGrpc.newFutureStub(channel).wait(Scripts.wait("c1", ""));
    assertThat(tasks().start(Scripts.start("c1", "")).getPid()).isEqualTo(1001);
    keeper.notice("Exited", Scripts.exited("c1", "", 1001, 7));
    assertThat(wait.get(30, TimeUnit.SECONDS).getExitStatus()).isEqualTo(7);
    assertThat(tasks().delete(Scripts.delete("c1", "")).getExitStatus()).isEqualTo(7);
    assertThat(keeper.topics())
        .containsExactly("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
  }

  @Test
  void versionThreeOfTheServiceIsServedToo() {
    MethodDescriptor<ConnectRequest, ConnectResponse> connect =
        TaskGrpc.getConnectMethod().toBuilder()
            .setFullMethodName("containerd.task.v3.Task/Connect")
            .build();
    ConnectResponse response =
        ClientCalls.blockingUnaryCall(
            channel,
            connect,
            CallOptions.DEFAULT.withDeadlineAfter(30, TimeUnit.SECONDS),
            ConnectRequest.newBuilder().setId("none").build());
    assertThat(response.getShimPid()).isPositive();
  }

  @Test
  void errorsKeepTheirCodeAndText() {
    StatusRuntimeException refused =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () -> tasks().state(StateRequest.newBuilder().setId("none").build()));
    assertThat(refused.getStatus().getCode()).isEqualTo(Code.NOT_FOUND);
    assertThat(refused.getStatus().getDescription()).contains("none").contains("not found");
  }

  @Test
  void theKeepersOwnServiceIsNobodyElses() {
    MethodDescriptor<ConnectRequest, ConnectResponse> notice =
        TaskGrpc.getConnectMethod().toBuilder()
            .setFullMethodName("brig.keeper.v1.Notice/Exited")
            .build();
    StatusRuntimeException refused =
        catchThrowableOfType(
            StatusRuntimeException.class,
            () ->
                ClientCalls.blockingUnaryCall(
                    channel, notice, CallOptions.DEFAULT, ConnectRequest.getDefaultInstance()));
    assertThat(refused.getStatus().getCode()).isEqualTo(Code.UNIMPLEMENTED);
  }

  @Test
  void theNextDaemonServesAtTheSamePlace() throws Exception {
    tasks().create(Scripts.create("c1"));
    String before = keeper.grpcAddress();
    brigd.restart();
    keeper.reconnect();
    assertThat(keeper.grpcAddress()).isEqualTo(before);
    TaskGrpc.TaskBlockingStub patient = tasks().withWaitForReady();
    assertThat(patient.start(Scripts.start("c1", "")).getPid()).isEqualTo(1001);
  }

  @Test
  void aCallerThatGivesUpIsForgottenByTheKeeperToo() throws Exception {
    tasks().create(Scripts.create("c1"));
    ListenableFuture<WaitResponse> wait =
        TaskGrpc.newFutureStub(channel).wait(Scripts.wait("c1", ""));
    // The keeper has it once it has this one, which came after it.
    tasks().start(Scripts.start("c1", ""));
    wait.cancel(true);
    assertThat(keeper.cancelled().get(30, TimeUnit.SECONDS)).isPositive();
  }

  @Test
  void aLostKeepersCallsEndAndItsSocketGoes() throws Exception {
    tasks().create(Scripts.create("c1"));
    ListenableFuture<WaitResponse> wait =
        TaskGrpc.newFutureStub(channel).wait(Scripts.wait("c1", ""));
    tasks().start(Scripts.start("c1", ""));
    keeper.disconnect();
    assertThatThrownBy(() -> wait.get(30, TimeUnit.SECONDS)).hasMessageContaining("UNAVAILABLE");
    // A daemon that is there answers the next keeper, which finds the place free.
    keeper.reconnect();
    assertThat(tasks().withWaitForReady().state(Scripts.stateRequest("c1", "")).getPid())
        .isEqualTo(1001);
  }

  @Test
  void theSocketIsRootsAlone() throws IOException {
    Path door = Path.of(keeper.grpcAddress());
    assertThat(door.getParent()).isEqualTo(run.resolve("grpc"));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(door)))
        .isEqualTo("rw-------");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(door.getParent())))
        .isEqualTo("rwx------");
  }

  @Test
  void aPodThatSpeaksTtrpcGetsNoSocket(@TempDir Path other) throws Exception {
    try (Brigd plain = new Brigd(other);
        FakeKeeper ttrpc = new FakeKeeper(plain.socket(), Scripts.host(), Scripts.succeeding())) {
      assertThat(ttrpc.grpcAddress()).isEmpty();
      assertThat(other.resolve("grpc")).doesNotExist();
    }
  }

  @Test
  void aSocketThatCantBeHadIsRefusedWithTheRemedy(@TempDir Path other) throws Exception {
    // Room for brigd.sock, but not for a door: 106 bytes are possible.
    String name = "d".repeat(Math.max(1, 80 - other.toString().length()));
    Path deep = Files.createDirectories(other.resolve(name));
    try (Brigd plain = new Brigd(deep)) {
      assertThatThrownBy(
              () -> new FakeKeeper(plain.socket(), Scripts.host(), Scripts.succeeding(), true))
          .hasMessageContaining("refused: serve gRPC")
          .hasMessageContaining("[paths] of brig.toml");
    }
  }
}
