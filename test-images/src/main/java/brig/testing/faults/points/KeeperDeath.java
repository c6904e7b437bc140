package brig.testing.faults.points;

import brig.testing.Eventually;
import brig.testing.client.Events.Event;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.faults.Inventory;
import brig.testing.kernel.Processes;
import brig.testing.proto.events.TaskExit;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Signal;

/**
 * Every pod's keeper is killed: the container is to be ended, told of with 137 unless it had ended
 * before, cleared away, and its id free for the next; the pods beside it are to notice nothing.
 */
final class KeeperDeath implements Fault {

  private static final int KILLED = 128 + 9;
  private static final int NEIGHBOURS = 3;
  private static final Duration IDS_ARE_FREE = Duration.ofMinutes(3);

  private final List<TestContainer> neighbours = new ArrayList<>();
  private final List<Integer> neighbourPids = new ArrayList<>();

  /** What a frame on its way to the keeper is torn to makes no difference to one that is killed. */
  @Override
  public boolean isToBeMadeAt(Moment moment) {
    return switch (moment) {
      case REQUEST_STORED,
          STEP_ARRIVED,
          RESULT_STORED,
          REPLY_SENT,
          REPLY_ARRIVED,
          EVENT_QUEUED,
          EVENT_ACKNOWLEDGED,
          ANSWERED ->
          true;
      case REQUEST_HALVED, STEP_SENT, STEP_HALVED, REPLY_HALVED -> false;
    };
  }

  @Override
  public void strike(Stage stage, List<Trial> trials) {
    while (neighbours.size() < NEIGHBOURS) {
      TestContainer neighbour = stage.neighbour();
      neighbourPids.add(neighbour.start(Stdio.none()).pid());
      neighbours.add(neighbour);
    }
    for (Trial trial : trials) {
      int keeper = trial.watch().keeper();
      if (keeper == 0 || !Processes.alive(keeper)) {
        // A keeper whose pod has ended and been shut down has gone by itself.
        continue;
      }
      Processes.signal(keeper, Signal.SIGKILL);
    }
  }

  @Override
  public void goOn(Trial trial, Outcome undisturbed) {
    Player player = trial.player();
    isGone(trial, "keeper", trial.watch().keeper());
    player.pid().ifPresent(pid -> isGone(trial, "init", pid));
    expect(trial, "no task is left", () -> !player.container().hasTask() || isDeleted(trial));
    trial.play(p -> checkExits(trial, undisturbed));
    trial.play(KeeperDeath::liveAgain);
  }

  private static void isGone(Trial trial, String what, int pid) {
    expect(trial, what + " " + pid + " is gone and no zombie", () -> !Processes.exists(pid));
  }

  private static void expect(
      Trial trial, String promise, java.util.function.BooleanSupplier condition) {
    try {
      Eventually.holds(promise, condition);
    } catch (AssertionError | RuntimeException e) {
      trial.problem(String.valueOf(e.getMessage()));
    }
  }

  /** A client may delete what containerd still knows; a refusal other than "not found" is none. */
  private static boolean isDeleted(Trial trial) {
    try {
      int status = trial.player().container().delete().status();
      if (status != KILLED) {
        trial.problem("deleted with status " + status);
      }
      return true;
    } catch (StatusRuntimeException e) {
      return e.getStatus().getCode() == Code.NOT_FOUND;
    }
  }

  /** Every exit of init that containerd has told; at least one where its start had been told. */
  private static void checkExits(Trial trial, Outcome undisturbed) {
    Player player = trial.player();
    boolean hadEnded = trial.scene().afterItsEnd();
    boolean wasCreated = player.seenEvent("/tasks/create");
    if (wasCreated) {
      player.awaitEvent("/tasks/exit");
    }
    for (Event event : player.eventsSoFar()) {
      if (event.message() instanceof TaskExit exit && event.process().equals(player.id())) {
        int status = exit.getExitStatus();
        boolean isRight =
            hadEnded
                ? status == undisturbed.exitStatus()
                : status == KILLED || status == undisturbed.exitStatus();
        if (!isRight) {
          trial.problem("an exit was told with status " + status);
        }
      }
    }
  }

  /** The id is free: the same container is made again, runs and is deleted. */
  private static void liveAgain(Player player) {
    try (Stdio stdio = Stdio.none()) {
      TestProcess init = player.container().create(stdio);
      var exit = init.exitAhead();
      init.start();
      try {
        init.signal(9);
      } catch (StatusRuntimeException e) {
        if (e.getStatus().getCode() != Code.NOT_FOUND) {
          throw e;
        }
        // It has come to its own end.
      }
      TestProcess.await(exit);
      player.container().delete();
    }
  }

  @Override
  public List<String> harm(Stage stage) {
    List<String> harm = new ArrayList<>();
    for (int i = 0; i < neighbours.size(); i++) {
      TestContainer neighbour = neighbours.get(i);
      if (!Processes.alive(neighbourPids.get(i))) {
        harm.add("a neighbour has ended");
      } else if (!neighbour.ask("echo", "unharmed").equals("unharmed\n")) {
        harm.add("a neighbour is harmed");
      }
      neighbour.close();
    }
    // brigd gives a keeper that it has lost time to come back.
    Eventually.within(IDS_ARE_FREE, () -> Inventory.ranges(stage.containerd()).isEmpty());
    return harm;
  }
}
