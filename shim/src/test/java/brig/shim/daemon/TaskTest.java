package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.ConnectResponse;
import brig.proto.containerd.task.CreateTaskResponse;
import brig.proto.containerd.task.StateResponse;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.sandbox.BrigException;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.MessageLite;
import io.grpc.Status.Code;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.function.Function;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A daemon, and a keeper that is played: what the calls of containerd's task service come to. */
@Timeout(60)
abstract class TaskTest {
  @TempDir Path run;

  Brigd brigd;
  FakeKeeper keeper;
  volatile Function<Step, StepResult> script = Scripts.succeeding();

  @BeforeEach
  void startDaemon() throws IOException, BrigException {
    brigd = new Brigd(run);
    keeper = new FakeKeeper(brigd.socket(), Scripts.host(), step -> script.apply(step));
  }

  @AfterEach
  void stopDaemon() throws IOException {
    keeper.close();
    brigd.close();
  }

  void failing(Step.ActionCase action, StepResult failure) {
    Function<Step, StepResult> good = script;
    script = step -> step.getActionCase() == action ? failure : good.apply(step);
  }

  CreateTaskResponse created(String id)
      throws IOException, InterruptedException, InvalidProtocolBufferException {
    return CreateTaskResponse.parseFrom(ok("Create", Scripts.create(id)));
  }

  void running(String id) throws Exception {
    created(id);
    ok("Start", Scripts.start(id, ""));
  }

  ByteString ok(String method, MessageLite message) throws IOException, InterruptedException {
    Reply reply = FakeKeeper.await(keeper.task(method, message));
    assertThat(reply.getCode()).as(reply.getMessage() + brigd.log()).isZero();
    return reply.getPayload();
  }

  Code refused(String method, MessageLite message) throws IOException, InterruptedException {
    return code(FakeKeeper.await(keeper.task(method, message)));
  }

  static Code code(Reply reply) {
    return io.grpc.Status.fromCodeValue(reply.getCode()).getCode();
  }

  StateResponse state(String id, String execId) throws Exception {
    return StateResponse.parseFrom(ok("State", Scripts.stateRequest(id, execId)));
  }

  ConnectResponse connect(String id) throws Exception {
    return ConnectResponse.parseFrom(ok("Connect", ConnectRequest.newBuilder().setId(id).build()));
  }

  void exits(String id, String execId, int pid, int status) throws Exception {
    assertThat(FakeKeeper.await(notice(id, execId, pid, status)).getCode()).isZero();
  }

  CompletableFuture<Reply> notice(String id, String execId, int pid, int status)
      throws IOException {
    return keeper.notice("Exited", Scripts.exited(id, execId, pid, status));
  }
}
