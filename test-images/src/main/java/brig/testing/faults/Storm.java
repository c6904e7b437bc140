package brig.testing.faults;

import brig.testing.Containerd;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.kernel.Processes;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import jnr.constants.platform.Signal;

/**
 * Many lives while brigd, and containerd as well, are killed again and again.
 *
 * @param seed what the lives are drawn from
 * @param lives how many
 * @param inFlight how many of them at a time
 * @param pause between two kills of brigd
 * @param containerdPause between two kills of containerd, which is started again at once; empty: it
 *     lives
 */
public record Storm(
    long seed, int lives, int inFlight, Duration pause, Optional<Duration> containerdPause) {

  /** Goes through it; the ledger has what came out. */
  public Ledger pass(Containerd containerd) {
    Ledger ledger = new Ledger();
    Map<String, List<String>> before = Inventory.of(containerd);
    Calls calls = new Calls(ledger);
    try (ContainerdClient client = containerd.client();
        Killer daemons =
            Killer.start("killer of brigd", pause, () -> killDaemon(containerd, ledger), ledger)) {
      if (containerdPause.isPresent()) {
        // Events of the time without containerd are published when it is back, before anybody can
        // have subscribed again.
        Runnable deed = () -> calls.between(() -> restart(containerd, ledger));
        try (Killer killer =
            Killer.start("killer of containerd", containerdPause.get(), deed, ledger)) {
          new Lives(seed, lives, inFlight).live(client, Optional.empty(), calls, ledger);
        }
      } else {
        try (Events events = client.events()) {
          new Lives(seed, lives, inFlight).live(client, Optional.of(events), calls, ledger);
        }
      }
    }
    Inventory.leftBehind(containerd, before)
        .forEach((kind, entries) -> ledger.problem("left behind: " + kind + ": " + entries));
    return ledger;
  }

  private static void killDaemon(Containerd containerd, Ledger ledger) {
    containerd
        .brig()
        .pid()
        .ifPresent(pid -> {
          ledger.fault(System.nanoTime());
          Processes.signal(pid, Signal.SIGKILL);
        });
  }

  private static void restart(Containerd containerd, Ledger ledger) {
    ledger.restart();
    containerd.kill();
    containerd.startAgain();
  }
}
