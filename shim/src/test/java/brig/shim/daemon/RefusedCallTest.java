package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.task.CheckpointTaskRequest;
import brig.proto.containerd.task.ExecProcessRequest;
import brig.proto.containerd.task.PauseRequest;
import brig.proto.containerd.task.PidsRequest;
import brig.proto.containerd.task.ResumeRequest;
import brig.proto.containerd.task.StateResponse;
import brig.proto.containerd.task.StatsRequest;
import brig.proto.containerd.task.UpdateTaskRequest;
import brig.proto.containerd.task.WaitResponse;
import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.Reply;
import brig.shim.relay.KeeperConnection;
import com.google.protobuf.ByteString;
import com.google.protobuf.MessageLite;
import io.grpc.Status.Code;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;

/** Calls that nobody should make, and the bounds of those that may be made. */
class RefusedCallTest extends TaskTest {
  @Test
  void anIdThatCouldBeAPathIsRefused() throws Exception {
    for (String id : List.of("", "a/b", "..", "a..b", ".a", "a b", "a\0b")) {
      assertThat(refused("Create", Scripts.create(id))).as(id).isEqualTo(Code.INVALID_ARGUMENT);
    }
    assertThat(keeper.carriedOut()).isEmpty();
  }

  @Test
  void anIdInUseIsRefused() throws Exception {
    created("c1");
    assertThat(refused("Create", Scripts.create("c1"))).isEqualTo(Code.ALREADY_EXISTS);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.CREATED);
  }

  @Test
  void unknownIdsAreNotFoundExceptForConnectAndShutdown() throws Exception {
    assertThat(connect("nobody").getTaskPid()).isZero();
    assertThat(connect("nobody").getShimPid()).isEqualTo((int) ProcessHandle.current().pid());
    for (var request :
        List.of(
            new Asked("State", Scripts.stateRequest("nobody", "")),
            new Asked("Start", Scripts.start("nobody", "")),
            new Asked("Delete", Scripts.delete("nobody", "")),
            new Asked("Kill", Scripts.kill("nobody", "", 9)),
            new Asked("Exec", Scripts.exec("nobody", "e1")),
            new Asked("Pids", PidsRequest.newBuilder().setId("nobody").build()),
            new Asked("Pause", PauseRequest.newBuilder().setId("nobody").build()),
            new Asked("Resume", ResumeRequest.newBuilder().setId("nobody").build()),
            new Asked("Update", UpdateTaskRequest.newBuilder().setId("nobody").build()),
            new Asked("ResizePty", Scripts.resize("nobody", "")),
            new Asked("Wait", Scripts.wait("nobody", "")),
            new Asked("Stats", StatsRequest.newBuilder().setId("nobody").build()),
            new Asked("Checkpoint", CheckpointTaskRequest.newBuilder().setId("nobody").build()))) {
      assertThat(refused(request.method, request.message))
          .as(request.method)
          .isEqualTo(Code.NOT_FOUND);
    }
    exits("nobody", "", 1, 0);
    assertThat(keeper.events()).isEmpty();
  }

  @Test
  void checkpointsAreUnimplementedAndSayWhy() throws Exception {
    running("c1");
    Reply reply =
        FakeKeeper.await(
            keeper.task("Checkpoint", CheckpointTaskRequest.newBuilder().setId("c1").build()));
    assertThat(code(reply)).isEqualTo(Code.UNIMPLEMENTED);
    assertThat(reply.getMessage()).contains("checkpoints aren't supported");
  }

  @Test
  void thirdVersionOfTheServiceIsTheSameService() throws Exception {
    created("c1");
    Reply reply =
        FakeKeeper.await(
            keeper.request(
                "containerd.task.v3.Task", "State", Scripts.stateRequest("c1", "").toByteString()));
    assertThat(StateResponse.parseFrom(reply.getPayload()).getPid()).isEqualTo(1001);
  }

  @Test
  void whatNobodyServesIsUnimplemented() throws Exception {
    assertThat(refused("Nonsense", Scripts.start("c1", ""))).isEqualTo(Code.UNIMPLEMENTED);
    Reply reply = FakeKeeper.await(keeper.request("no.such.Service", "Create", ByteString.EMPTY));
    assertThat(code(reply)).isEqualTo(Code.UNIMPLEMENTED);
  }

  @Test
  void aPayloadThatIsNoMessageIsAnInvalidArgument() throws Exception {
    ByteString garbage = ByteString.copyFrom(new byte[] {(byte) 0xff, 1, 2, 3});
    Reply reply = FakeKeeper.await(keeper.request("containerd.task.v2.Task", "State", garbage));
    assertThat(code(reply)).isEqualTo(Code.INVALID_ARGUMENT);
  }

  @Test
  void whatAPodsKeeperHoldsIsBoundedAndFitsIntoItsHello() throws Exception {
    running("c1");
    ok("Exec", largeExec("e1"));
    ok("Exec", largeExec("e2"));
    Reply third = FakeKeeper.await(keeper.task("Exec", largeExec("e3")));
    assertThat(code(third)).isEqualTo(Code.RESOURCE_EXHAUSTED);
    assertThat(third.getMessage()).contains("exec: c1: ", "delete execs that have ended");
    keeper.reconnect();
    assertThat(state("c1", "e2").getStatus()).isEqualTo(Status.CREATED);
    ok("Delete", Scripts.delete("c1", "e1"));
    ok("Exec", largeExec("e3"));
  }

  @Test
  void aRefusalQuotesNoMoreThanALineTakes() throws Exception {
    created("c1");
    ExecProcessRequest.Builder exec = Scripts.exec("c1", "e1").toBuilder();
    String process =
        "{\"args\": [\"true\"], \"cwd\": \"/\", \"env\": [\"" + "x".repeat(1 << 20) + "\"]}";
    exec.getSpecBuilder().setValue(ByteString.copyFromUtf8(process));
    Reply reply = FakeKeeper.await(keeper.task("Exec", exec.build()));
    assertThat(code(reply)).isEqualTo(Code.INVALID_ARGUMENT);
    assertThat(reply.getMessage())
        .startsWith("read process: env[0]: \"xxx")
        .hasSizeLessThan(10_000);
  }

  @Test
  void waitsThatNobodyWaitsForAnyMoreMakeRoomForOthers() throws Exception {
    running("c1");
    for (int i = 0; i < KeeperConnection.MAX_REQUESTS; i++) {
      keeper.task("Wait", Scripts.wait("c1", ""));
    }
    assertThat(refused("State", Scripts.stateRequest("c1", ""))).isEqualTo(Code.RESOURCE_EXHAUSTED);

    assertThat(keeper.cancelAll("Wait")).isEqualTo(KeeperConnection.MAX_REQUESTS);
    assertThat(state("c1", "").getStatus()).isEqualTo(Status.RUNNING);
    CompletableFuture<Reply> waiting = keeper.task("Wait", Scripts.wait("c1", ""));
    exits("c1", "", 1001, 3);
    assertThat(WaitResponse.parseFrom(FakeKeeper.await(waiting).getPayload()).getExitStatus())
        .isEqualTo(3);
  }

  private record Asked(String method, MessageLite message) {}

  /** Its process has an environment of three mebibytes. */
  private static ExecProcessRequest largeExec(String execId) {
    ExecProcessRequest.Builder exec = Scripts.exec("c1", execId).toBuilder();
    String process =
        "{\"args\": [\"true\"], \"cwd\": \"/\", \"env\": [\"A=" + "x".repeat(3 << 20) + "\"]}";
    exec.getSpecBuilder().setValue(ByteString.copyFromUtf8(process));
    return exec.build();
  }
}
