package brig.testing.integration;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A test that speaks containerd's gRPC interface. */
abstract class ClientTest extends TidyTest {

  /** How a container that ran to its end looked from outside. */
  record Ran(int status, String stdout, String stderr) {}

  final Containerd containerd;
  final ContainerdClient client;

  ClientTest(Containerd containerd) {
    this.containerd = containerd;
    // The first to be kept is the last to be closed.
    this.client = keep(containerd.client());
  }

  final TestContainer container(OciSpec spec) {
    return keep(client.container(spec));
  }

  final TestContainer container(String... command) {
    return container(OciSpec.running(command));
  }

  /**
   * A network namespace as CNI makes them: owned by the initial user namespace, kept by a mount.
   */
  final Path networkOfTheHosts() {
    try {
      Path name = Files.createFile(place("netns").resolve("net"));
      Command.of("unshare", "--net=" + name, "true").run().orFail();
      keep(() -> Command.of("umount", "-l", name.toString()).run().orFail());
      return name;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** A container that waits to be looked at. */
  final TestContainer sleeping() {
    return container(OciSpec.running("sleep", "600"));
  }

  final Ran run(OciSpec spec) {
    TestContainer container = container(spec);
    Stdio stdio = Stdio.captured();
    Exit exit = container.run(stdio);
    return new Ran(exit.status(), stdio.stdout(), stdio.stderr());
  }

  final Ran run(String... command) {
    return run(OciSpec.running(command));
  }

  /** Runs a command in the container. */
  final Ran exec(TestContainer container, String... command) {
    return exec(container, container.spec().execProcess(command));
  }

  final Ran exec(TestContainer container, com.fasterxml.jackson.databind.JsonNode process) {
    Stdio stdio = Stdio.captured();
    var running = container.exec(Names.fresh("exec"), process, stdio).start();
    Exit exit = running.await();
    Ran ran = new Ran(exit.status(), stdio.stdout(), stdio.stderr());
    running.delete();
    return ran;
  }
}
