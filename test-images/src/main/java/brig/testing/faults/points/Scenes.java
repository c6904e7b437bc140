package brig.testing.faults.points;

import static brig.testing.faults.points.Player.PROGRAM;

import brig.testing.client.TestProcess;
import brig.testing.kernel.Processes;
import brig.testing.proto.metrics.v1.Metrics;
import brig.testing.proto.tasks.CheckpointTaskRequest;
import brig.testing.proto.tasks.GetRequest;
import brig.testing.shim.ShimSocket;
import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import java.util.List;
import jnr.constants.platform.Signal;

/** A scene for each of the task service's methods, and for the keeper's notices. */
final class Scenes {

  private static final String[] SLEEPER = {"sleep", "600"};
  private static final String[] READER = {
    "sh", "-c", "read x; brig-probe fill 30000; brig-probe fill 20000 >&2; exit 7"
  };
  private static final String[] RESIZED = {
    "sh", "-c", "trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.05; done"
  };

  private Scenes() {}

  static List<Scene> all() {
    return List.of(
        new Scene("Create", "Create", PROGRAM, p -> {}, Player::create, Scenes::fromCreated),
        new Scene("Start", "Start", PROGRAM, Player::create, Player::start, Scenes::toItsEnd),
        new Scene("State", "State", SLEEPER, Player::run, Scenes::stateOfNobody, Player::end),
        new Scene(
            "Exec",
            "Exec",
            SLEEPER,
            Player::run,
            p -> p.addExec(false, PROGRAM),
            Scenes::fromAdded),
        new Scene(
            "Start of an exec",
            "Start",
            SLEEPER,
            p -> {
              p.run();
              p.addExec(false, PROGRAM);
            },
            Player::startExec,
            Scenes::fromStarted),
        new Scene("Kill", "Kill", SLEEPER, Player::run, p -> kill(p, false), Scenes::toItsEnd),
        new Scene(
            "Kill of all",
            "Kill",
            new String[] {"sh", "-c", "sleep 600 & sleep 601"},
            Player::run,
            p -> kill(p, true),
            Scenes::toItsEnd),
        new Scene("Pause", "Pause", SLEEPER, Player::run, Scenes::pause, Scenes::fromPaused),
        new Scene(
            "Resume",
            "Resume",
            SLEEPER,
            p -> {
              p.run();
              pause(p);
            },
            Scenes::resume,
            Scenes::fromResumed),
        new Scene("Pids", "Pids", SLEEPER, Player::run, Scenes::pids, Player::end),
        new Scene("Wait", "Wait", READER, Player::run, Scenes::awaitIt, Scenes::fromEnd),
        new Scene("Delete", "Delete", PROGRAM, Scenes::fromStart, Player::delete, p -> {}),
        new Scene(
            "Delete of an exec",
            "Delete",
            SLEEPER,
            p -> {
              p.run();
              p.addExec(false, PROGRAM);
              p.startExec();
              p.awaitExec();
            },
            Player::deleteExec,
            Player::end),
        new Scene(
            "CloseIO",
            "CloseIO",
            new String[] {"cat"},
            p -> {
              p.run();
              p.type("typed\n");
              p.stdio().awaitStdout("typed\n");
            },
            p -> p.call("close", () -> p.init().closeStdin()),
            Scenes::toItsEnd),
        new Scene(
            "ResizePty",
            "ResizePty",
            SLEEPER,
            p -> {
              p.run();
              p.addExec(true, RESIZED);
              p.startExec();
              p.execStdio().awaitStdout("ready");
            },
            p -> p.call("resize", () -> p.exec().resize(77, 33)),
            p -> {
              p.awaitExec();
              p.deleteExec();
              p.end();
            }),
        new Scene(
            "Checkpoint", "Checkpoint", SLEEPER, Player::run, Scenes::checkpoint, Player::end),
        new Scene("Update", "Update", SLEEPER, Player::run, Scenes::update, Player::end),
        new Scene("Stats", "Stats", SLEEPER, Player::run, Scenes::stats, Player::end),
        new Scene("Connect", "Connect", SLEEPER, Player::run, Scenes::connect, Player::end),
        new Scene("Shutdown", "Shutdown", PROGRAM, Scenes::fromStart, Player::delete, p -> {}),
        new Scene(
            "the keeper's Exited", "Exited", SLEEPER, Player::run, Scenes::die, Scenes::fromEnd));
  }

  private static void fromCreated(Player player) {
    player.kernel();
    player.status();
    player.start();
    toItsEnd(player);
  }

  private static void fromStart(Player player) {
    player.run();
    player.await();
  }

  private static void toItsEnd(Player player) {
    player.await();
    player.status();
    player.delete();
  }

  private static void fromEnd(Player player) {
    player.status();
    player.delete();
  }

  private static void fromAdded(Player player) {
    player.startExec();
    fromStarted(player);
  }

  private static void fromStarted(Player player) {
    player.awaitExec();
    player.kernel();
    player.deleteExec();
    player.end();
  }

  private static void stateOfNobody(Player player) {
    GetRequest nobody =
        GetRequest.newBuilder().setContainerId(player.id()).setExecId("nobody").build();
    // brigd and, where it takes too long, the keeper refuse it in words of their own.
    player.refusal("state of nobody", () -> player.client().tasks().get(nobody));
    player.status();
  }

  private static void kill(Player player, boolean all) {
    player.call("kill", () -> player.init().kill(9, all));
  }

  private static void pause(Player player) {
    player.call("pause", () -> player.container().pause());
  }

  private static void resume(Player player) {
    player.call("resume", () -> player.container().resume());
  }

  private static void fromPaused(Player player) {
    player.status();
    player.group("freezer", "freezer.state");
    resume(player);
    fromResumed(player);
  }

  private static void fromResumed(Player player) {
    player.status();
    player.group("freezer", "freezer.state");
    player.end();
  }

  private static void pids(Player player) {
    player.call(
        "pids", () -> player.container().pids().stream().map(process -> process.getPid()).toList());
  }

  private static void awaitIt(Player player) {
    var exit = player.init().exitAhead();
    player.type("\n");
    player.exit("exit", () -> TestProcess.await(exit));
    player.await();
  }

  private static void checkpoint(Player player) {
    CheckpointTaskRequest request =
        CheckpointTaskRequest.newBuilder().setContainerId(player.id()).build();
    player.call("checkpoint", () -> player.client().tasks().checkpoint(request));
    player.status();
  }

  private static void update(Player player) {
    player.call("update", () -> player.container().update("{\"memory\":{\"limit\":33554432}}"));
    player.group("memory", "memory.limit_in_bytes");
  }

  private static void stats(Player player) {
    player.call("stats", () -> player.container().metrics().stream().map(Scenes::limit).toList());
  }

  private static String limit(Any metrics) {
    try {
      return "limit " + Metrics.parseFrom(metrics.getValue()).getMemory().getUsage().getLimit();
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException(e);
    }
  }

  private static void connect(Player player) {
    try (ShimSocket shim = ShimSocket.connect(player.container().bundle())) {
      player.call("connect of nobody", () -> shim.whoServes("nobody").getTaskPid());
      player.call("connect", () -> shim.whoServes(player.id()).getTaskPid());
    }
  }

  /** Nobody asks for it, and nobody is told but by the exit. */
  private static void die(Player player) {
    Processes.signal(player.init().pid(), Signal.SIGKILL);
    player.await();
  }
}
