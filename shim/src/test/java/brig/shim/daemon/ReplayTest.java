package brig.shim.daemon;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.containerd.task.CloseIORequest;
import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.DeleteRequest;
import brig.proto.containerd.task.PauseRequest;
import brig.proto.containerd.task.PidsRequest;
import brig.proto.containerd.task.ResizePtyRequest;
import brig.proto.containerd.task.ResumeRequest;
import brig.proto.containerd.task.ShutdownRequest;
import brig.proto.containerd.task.StateRequest;
import brig.proto.containerd.task.StatsRequest;
import brig.proto.containerd.task.UpdateTaskRequest;
import brig.proto.containerd.task.WaitRequest;
import brig.proto.keeper.ContainerRecord;
import brig.proto.keeper.Event;
import brig.proto.keeper.OomNotice;
import brig.proto.keeper.RemovedNotice;
import brig.proto.keeper.Reply;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.shim.relay.Steps;
import com.google.protobuf.MessageLite;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Stream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A daemon that dies at any point of any request is made good by the next one: the same reply, the
 * same state, and no step carried out twice.
 */
@Timeout(120)
class ReplayTest {
  private static final Instant START = Instant.parse("2026-01-01T00:00:00Z");
  private static final Instant LATER = START.plus(Duration.ofHours(1));
  private static final String TASK = "containerd.task.v2.Task";
  private static final String NOTICE = "brig.keeper.v1.Notice";

  private record Call(String service, String method, MessageLite message) {}

  /** Requests that lead to a state, and the one whose service is interrupted. */
  private record Scenario(String name, List<Call> before, Call call, Faults faults) {
    @Override
    public String toString() {
      return name;
    }
  }

  /** What goes wrong while the interrupted request is served. */
  private interface Faults extends Function<Step, StepResult> {
    Faults NONE = step -> FakeKeeper.NO_ANSWER;
  }

  private record Outcome(Reply reply, List<Step> steps, Map<String, ContainerRecord> records) {}

  /** Where the daemon dies. */
  private record Death(int afterSteps, boolean atReply) {
    static final Death NEVER = new Death(-1, false);

    /** Nobody dies, but the request comes as late as a second daemon would first see it. */
    static final Death ONLY_OF_TIME = new Death(-2, false);
  }

  @TempDir Path directory;

  private int runs;
  private int version = Version.KEEPER_PROTOCOL;

  @ParameterizedTest
  @MethodSource("scenarios")
  void aDaemonThatDiesLosesNothingAndRepeatsNothing(Scenario scenario) throws Exception {
    survivesEachDeath(scenario);
  }

  @ParameterizedTest
  @MethodSource("scenarios")
  void norDoesItBeforeAKeeperThatTakesEachStepAlone(Scenario scenario) throws Exception {
    version = Steps.ONE_ROUND - 1;
    survivesEachDeath(scenario);
  }

  private void survivesEachDeath(Scenario scenario) throws Exception {
    Outcome whole = run(scenario, Death.NEVER);
    Outcome later = run(scenario, Death.ONLY_OF_TIME);
    List<Death> deaths = new ArrayList<>();
    for (int steps = 0; steps <= whole.steps().size(); steps++) {
      deaths.add(new Death(steps, false));
    }
    deaths.add(new Death(0, true));
    for (Death death : deaths) {
      assertThat(run(scenario, death)).as(death.toString()).isIn(whole, later);
    }
  }

  static Stream<Call> callsThatEndProcesses() {
    return Stream.of(
        task("Kill", Scripts.kill("c1", "", 15)),
        task(
            "ResizePty",
            ResizePtyRequest.newBuilder().setId("c1").setWidth(80).setHeight(24).build()));
  }

  @ParameterizedTest
  @MethodSource("callsThatEndProcesses")
  void whatWasDoneToAProcessIsAnsweredAsDoneThoughItHasEndedMeanwhile(Call call) throws Exception {
    Path run = Files.createDirectory(directory.resolve("ended"));
    Function<Step, StepResult> good = Scripts.succeeding();
    CompletableFuture<Void> carriedOut = new CompletableFuture<>();
    Function<Step, StepResult> script =
        step -> {
          boolean first = (step.hasSignal() || step.hasResize()) && carriedOut.complete(null);
          return first ? FakeKeeper.NO_ANSWER : good.apply(step);
        };
    try (Brigd brigd = new Brigd(run, Clock.systemUTC());
        FakeKeeper keeper = new FakeKeeper(brigd.socket(), Scripts.host(), script)) {
      MessageLite create = Scripts.create("c1").toBuilder().setTerminal(true).build();
      for (Call before : List.of(task("Create", create), task("Start", Scripts.start("c1", "")))) {
        assertThat(FakeKeeper.await(send(keeper, before)).getCode()).isZero();
      }
      CompletableFuture<Reply> reply = send(keeper, call);
      carriedOut.get(20, TimeUnit.SECONDS);
      Call exits = notice("Exited", Scripts.exited("c1", "", 1001, 143));
      assertThat(FakeKeeper.await(send(keeper, exits)).getCode()).isZero();
      brigd.restart();
      keeper.reconnect();
      Reply answer = FakeKeeper.await(reply);
      assertThat(answer.getCode()).as(answer.getMessage()).isZero();
    }
  }

  private Outcome run(Scenario scenario, Death death) throws Exception {
    runs++;
    Path run = Files.createDirectory(directory.resolve(Integer.toString(runs)));
    Instant[] now = {START};
    Clock clock = ((InstantSource) () -> now[0]).withZone(ZoneOffset.UTC);
    Function<Step, StepResult> good = Scripts.succeeding();
    boolean[] faulty = {false};
    Function<Step, StepResult> script =
        step -> {
          StepResult fault = faulty[0] ? scenario.faults().apply(step) : FakeKeeper.NO_ANSWER;
          return fault == FakeKeeper.NO_ANSWER ? good.apply(step) : fault;
        };
    try (Brigd brigd = new Brigd(run, clock);
        FakeKeeper keeper =
            new FakeKeeper(brigd.socket(), Scripts.host(), script, false, version)) {
      for (Call call : scenario.before()) {
        Reply reply = FakeKeeper.await(send(keeper, call));
        assertThat(reply.getCode()).as(reply.getMessage()).isZero();
      }
      int already = keeper.carriedOut().size();
      faulty[0] = true;
      if (death.equals(Death.ONLY_OF_TIME)) {
        now[0] = LATER;
      }
      CompletableFuture<Reply> reply;
      if (death.atReply()) {
        CompletableFuture<Void> cut = keeper.cutAtReply();
        reply = send(keeper, scenario.call());
        cut.get(20, TimeUnit.SECONDS);
      } else if (death.afterSteps() > 0) {
        CompletableFuture<Void> cut = keeper.cutAfterSteps(death.afterSteps());
        reply = send(keeper, scenario.call());
        cut.get(20, TimeUnit.SECONDS);
      } else {
        if (death.afterSteps() == 0) {
          keeper.disconnect();
        }
        reply = send(keeper, scenario.call());
      }
      if (death.afterSteps() >= 0) {
        now[0] = LATER;
        brigd.restart();
        keeper.reconnect();
      }
      Reply answer = withoutTimes(FakeKeeper.await(reply));
      List<Step> steps = keeper.carriedOut();
      return new Outcome(answer, steps.subList(already, steps.size()), keeper.records());
    }
  }

  private static CompletableFuture<Reply> send(FakeKeeper keeper, Call call) throws Exception {
    return keeper.request(call.service(), call.method(), call.message().toByteString());
  }

  /** An event's time is that of its publication, and the keeper takes only the first. */
  private static Reply withoutTimes(Reply reply) {
    Reply.Builder same = reply.toBuilder();
    for (Event.Builder event : same.getEventsBuilderList()) {
      event.clearTimestampSeconds().clearTimestampNanos();
    }
    return same.build();
  }

  static Stream<Scenario> scenarios() {
    Call create = task("Create", Scripts.create("c1"));
    Call start = task("Start", Scripts.start("c1", ""));
    Call exec = task("Exec", Scripts.exec("c1", "e1"));
    Call startExec = task("Start", Scripts.start("c1", "e1"));
    Call exits = notice("Exited", Scripts.exited("c1", "", 1001, 3));
    Call execExits = notice("Exited", Scripts.exited("c1", "e1", 1002, 3));
    Call delete = task("Delete", DeleteRequest.newBuilder().setId("c1").build());
    Call deleteExec =
        task("Delete", DeleteRequest.newBuilder().setId("c1").setExecId("e1").build());
    Call pause = task("Pause", PauseRequest.newBuilder().setId("c1").build());
    List<Call> running = List.of(create, start);
    List<Call> executing = List.of(create, start, exec, startExec);
    return Stream.of(
        scenario("Create", List.of(), create),
        failing("Create that fails", List.of(), create, Step.ActionCase.EXECUTE),
        failing("Create without sources", List.of(), create, Step.ActionCase.OPEN_STAGE),
        scenario("Create of a second container", running, task("Create", Scripts.create("c2"))),
        scenario("Create of an id in use", running, create),
        scenario("Start", List.of(create), start),
        failing("Start that fails", List.of(create), start, Step.ActionCase.RELEASE),
        scenario("second Start", running, start),
        scenario("Exec", running, exec),
        scenario("Start of an exec", List.of(create, start, exec), startExec),
        failing(
            "Start of an exec that fails",
            List.of(create, start, exec),
            startExec,
            Step.ActionCase.EXECUTE),
        scenario("Kill", running, task("Kill", Scripts.kill("c1", "", 15))),
        scenario("Kill of an exec", executing, task("Kill", Scripts.kill("c1", "e1", 15))),
        scenario("Pause", running, pause),
        scenario(
            "Resume",
            List.of(create, start, pause),
            task("Resume", ResumeRequest.newBuilder().setId("c1").build())),
        scenario(
            "Update",
            running,
            task(
                "Update",
                UpdateTaskRequest.newBuilder()
                    .setId("c1")
                    .setResources(Scripts.memoryLimit(1 << 26))
                    .build())),
        scenario("Delete of a created container", List.of(create), delete),
        scenario("Delete of a running container", running, delete),
        scenario("Delete", List.of(create, start, exits), delete),
        failing(
            "Delete that fails",
            List.of(create, start, exits),
            delete,
            Step.ActionCase.REMOVE_CONTAINER),
        scenario(
            "Delete of an exec", List.of(create, start, exec, startExec, execExits), deleteExec),
        scenario("Delete of an exec never started", List.of(create, start, exec), deleteExec),
        scenario(
            "ResizePty",
            executing,
            task(
                "ResizePty",
                ResizePtyRequest.newBuilder()
                    .setId("c1")
                    .setExecId("e1")
                    .setWidth(80)
                    .setHeight(24)
                    .build())),
        scenario(
            "CloseIO",
            executing,
            task(
                "CloseIO",
                CloseIORequest.newBuilder().setId("c1").setExecId("e1").setStdin(true).build())),
        scenario("Pids", executing, task("Pids", PidsRequest.newBuilder().setId("c1").build())),
        scenario("Stats", running, task("Stats", StatsRequest.newBuilder().setId("c1").build())),
        scenario("State", executing, task("State", StateRequest.newBuilder().setId("c1").build())),
        scenario(
            "Connect", running, task("Connect", ConnectRequest.newBuilder().setId("c1").build())),
        scenario(
            "Wait",
            List.of(create, start, exits),
            task("Wait", WaitRequest.newBuilder().setId("c1").build())),
        scenario("Shutdown", running, task("Shutdown", ShutdownRequest.getDefaultInstance())),
        scenario(
            "Shutdown of an empty pod",
            List.of(),
            task("Shutdown", ShutdownRequest.getDefaultInstance())),
        scenario("Exited", running, exits),
        scenario("Exited of an exec", executing, execExits),
        scenario(
            "OomKilled",
            running,
            notice("OomKilled", OomNotice.newBuilder().setContainerId("c1").build())),
        scenario(
            "Removed",
            running,
            notice("Removed", RemovedNotice.newBuilder().setContainerId("c1").build())));
  }

  private static Call task(String method, MessageLite message) {
    return new Call(TASK, method, message);
  }

  private static Call notice(String method, MessageLite message) {
    return new Call(NOTICE, method, message);
  }

  private static Scenario scenario(String name, List<Call> before, Call call) {
    return new Scenario(name, before, call, Faults.NONE);
  }

  private static Scenario failing(
      String name, List<Call> before, Call call, Step.ActionCase action) {
    StepResult failure = Scripts.failure("do", "it", 5, "as if");
    return new Scenario(
        name,
        before,
        call,
        step -> step.getActionCase() == action ? failure : FakeKeeper.NO_ANSWER);
  }
}
