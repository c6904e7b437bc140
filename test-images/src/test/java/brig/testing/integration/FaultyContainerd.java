package brig.testing.integration;

import brig.testing.Containerd;
import brig.testing.faults.FaultMachine;

/** A containerd of the test's own, under whose shims system calls can be made to fail. */
abstract class FaultyContainerd extends ClientTest {

  final FaultMachine machine;

  FaultyContainerd(Containerd shared) {
    this(shared, FaultMachine.start(shared.settings()));
  }

  private FaultyContainerd(Containerd shared, FaultMachine machine) {
    super(machine.containerd(shared.version()));
    this.machine = keep(machine);
    keep(containerd);
  }
}
