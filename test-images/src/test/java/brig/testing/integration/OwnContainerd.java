package brig.testing.integration;

import brig.testing.Containerd;

/** A containerd of the test's own, for tests that end it or what stands below it. */
abstract class OwnContainerd extends ClientTest {

  OwnContainerd(Containerd shared) {
    this(shared, "");
  }

  /** With more lines in the configuration of Brig's daemon. */
  OwnContainerd(Containerd shared, String brigToml) {
    super(Containerd.start(shared.settings(), shared.version(), brigToml));
    keep(containerd);
  }
}
