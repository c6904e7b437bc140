package brig.testing.faults.points;

import java.util.List;

/** brigd is killed, once for all: every call is to show what it shows undisturbed. */
final class DaemonDeath implements Fault {

  @Override
  public boolean isToBeMadeAt(Moment moment) {
    return true;
  }

  @Override
  public void strike(Stage stage, List<Trial> trials) {
    stage.killDaemon();
  }

  @Override
  public void goOn(Trial trial, Outcome undisturbed) {
    trial.finish();
    List<String> seen = trial.player().seen();
    if (!undisturbed.seen().equals(seen)) {
      trial.problem("expected " + undisturbed.seen() + ", saw " + seen);
    }
    boolean askedAgain = trial.watch().isAskedAgain();
    boolean replied = trial.point().filter(point -> point.moment().isReplied()).isPresent();
    // What only asks may have been answered by the keeper before the next brigd was there.
    if (replied ? askedAgain : !askedAgain && !trial.scene().onlyAsks()) {
      trial.problem("the next brigd was" + (askedAgain ? "" : " not") + " asked again");
    }
  }

  @Override
  public List<String> harm(Stage stage) {
    return List.of();
  }
}
