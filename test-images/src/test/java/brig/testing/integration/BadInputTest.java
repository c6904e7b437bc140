package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.faults.Inventory;
import brig.testing.proto.shim.CreateTaskRequest;
import brig.testing.proto.ttrpc.Status;
import brig.testing.shim.ShimSocket;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Random;
import jnr.unixsocket.UnixSocketAddress;
import jnr.unixsocket.UnixSocketChannel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/**
 * What nobody should send: it is refused with step, object, cause and remedy, it leaves nothing,
 * and the daemon and the other containers don't feel it.
 */
@OneContainerd
@OnlyBrig
class BadInputTest extends OwnContainerd {

  /** gRPC's INVALID_ARGUMENT, RESOURCE_EXHAUSTED and FAILED_PRECONDITION. */
  private static final int INVALID_ARGUMENT = 3;

  private static final int RESOURCE_EXHAUSTED = 8;
  private static final int FAILED_PRECONDITION = 9;

  private final TestContainer neighbour;
  private final TestProcess itsInit;
  private final int daemon;
  private final Map<String, List<String>> before;

  BadInputTest(Containerd shared) {
    super(shared);
    // A run directory of its own size, as /run is one, which a test can fill.
    Path run = containerd.brig().run();
    Command.of("mkdir", "-m", "700", run.toString()).run().orFail();
    Command.of("mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "run", run.toString())
        .run()
        .orFail();
    neighbour = sleeping();
    itsInit = neighbour.start();
    daemon = containerd.brig().pid().orElseThrow();
    before = Inventory.of(containerd);
  }

  private void nobodyFeltIt() {
    assertThat(Inventory.leftBehind(containerd, before)).isEmpty();
    assertThat(containerd.brig().pid()).hasValue(daemon);
    assertThat(itsInit.state().getPid()).isEqualTo(itsInit.pid());
    assertThat(exec(neighbour, "echo", "unharmed").stdout()).isEqualTo("unharmed\n");
    assertThat(run("echo", "another").stdout()).isEqualTo("another\n");
  }

  private static void send(Path socket, byte[] bytes) throws IOException {
    try (UnixSocketChannel channel =
        UnixSocketChannel.open(new UnixSocketAddress(socket.toFile()))) {
      ByteBuffer left = ByteBuffer.wrap(bytes);
      while (left.hasRemaining()) {
        channel.write(left);
      }
    } catch (IOException e) {
      // It hung up in the middle, as it may.
      assertThat(e).hasMessageMatching("(?i).*(broken pipe|reset).*");
    }
  }

  private static byte[] garbage(long seed) {
    byte[] bytes = new byte[50_000];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }

  @Test
  void aFrameOverFourMebibytesIsRefusedAndItsConnectionLivesOn() {
    try (ShimSocket socket = ShimSocket.connect(neighbour.bundle())) {
      Status refused = socket.refusal(new byte[(4 << 20) + 1]);
      assertThat(refused.getCode()).isEqualTo(RESOURCE_EXHAUSTED);
      assertThat(refused.getMessage()).contains("request", "4194305 bytes", "4194304");
      assertThat(socket.state(neighbour.id()).getPid()).isEqualTo(itsInit.pid());
    }
    nobodyFeltIt();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void garbageOnAPodsSocketHarmsNobody(long seed) throws IOException {
    Path socket =
        Path.of(Files.readString(neighbour.bundle().resolve("address")).substring(7).strip());
    send(socket, garbage(seed));
    nobodyFeltIt();
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 2, 3})
  void garbageOnTheDaemonsSocketHarmsNobody(long seed) throws IOException {
    send(containerd.brig().run().resolve("brigd.sock"), garbage(seed));
    // A frame of a proper length with nonsense in it.
    byte[] frame = garbage(seed);
    ByteBuffer.wrap(frame).putInt(frame.length - Integer.BYTES);
    send(containerd.brig().run().resolve("brigd.sock"), frame);
    nobodyFeltIt();
  }

  @Test
  void aBundleThatVanishedIsNamedWithItsFile() {
    try (ShimSocket socket = ShimSocket.connect(neighbour.bundle())) {
      Status refused =
          socket.refusal(
              "Create",
              CreateTaskRequest.newBuilder().setId("gone").setBundle("/no/such/bundle").build());
      assertThat(refused.getCode()).isEqualTo(FAILED_PRECONDITION);
      assertThat(refused.getMessage())
          .isEqualTo(
              "read config.json: /no/such/bundle/config.json: no such file or directory;"
                  + " check that the bundle is still there");
    }
    nobodyFeltIt();
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "{", "[]", "{\"process\": {\"args\": [5]}}", "{} {}", "\0"})
  void aConfigurationThatIsNoneIsRefused(String config) throws IOException {
    Path bundle = containerd.directory().resolve("bundle");
    Files.createDirectories(bundle.resolve("rootfs"));
    Files.writeString(bundle.resolve("config.json"), config);
    try (ShimSocket socket = ShimSocket.connect(neighbour.bundle())) {
      Status refused =
          socket.refusal(
              "Create",
              CreateTaskRequest.newBuilder().setId("none").setBundle(bundle.toString()).build());
      assertThat(refused.getCode()).isEqualTo(INVALID_ARGUMENT);
      assertThat(refused.getMessage()).contains("config.json").contains("; ");
    }
    nobodyFeltIt();
  }

  @Test
  void aFieldThatNoSpecificationKnowsIsIgnored() {
    OciSpec spec = OciSpec.running("echo", "runs");
    spec.json().put("unheardOf", 5);
    spec.linux().putObject("unheardOf").put("of", true);
    assertThat(run(spec).stdout()).isEqualTo("runs\n");
  }

  @Test
  void aContradictionIsNamed() {
    OciSpec spec = OciSpec.running("true");
    spec.linux().withArray("namespaces").addObject().put("type", "pid");
    TestContainer container = container(spec);
    assertThat(Refusals.words(container::create)).contains("namespaces", "pid");
    nobodyFeltIt();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a/b", "..", "../../x", ""})
  void anIdThatCouldBeAPathIsRefused(String id) {
    try (ShimSocket socket = ShimSocket.connect(neighbour.bundle())) {
      Status refused =
          socket.refusal(
              "Create",
              CreateTaskRequest.newBuilder()
                  .setId(id)
                  .setBundle(neighbour.bundle().toString())
                  .build());
      assertThat(refused.getCode()).isEqualTo(INVALID_ARGUMENT);
      assertThat(refused.getMessage()).startsWith("create: ").contains(";");
    }
    nobodyFeltIt();
  }

  @ParameterizedTest
  @ValueSource(strings = {"a/b", ".."})
  void theLauncherRefusesSuchAnIdBeforeItMakesAnything(String id) {
    Command.Result result =
        Command.of(
                containerd.settings().prefix().resolve("bin/containerd-shim-brig-v2").toString(),
                "-namespace",
                Containerd.NAMESPACE,
                "-address",
                containerd.address().toString(),
                "-id",
                id,
                "start")
            .environment(containerd.environment())
            .directory(containerd.directory())
            .run();
    assertThat(result.exitCode()).isNotZero();
    assertThat(result.stderr()).contains("read the command line: -id: ");
    nobodyFeltIt();
  }

  @Test
  void aFullRunDirectoryIsToldAndLeavesNothing() throws IOException {
    Path fill = containerd.brig().run().resolve("fill");
    Command.of("sh", "-c", "cat /dev/zero > " + fill).run();
    try {
      TestContainer refused = sleeping();
      String words = Refusals.words(refused::create);
      assertThat(words)
          .contains(
              "write id ranges: "
                  + containerd.brig().run().resolve("ids")
                  + ": No space left on device; make room in the run directory");
      assertThat(Inventory.leftBehind(containerd, before)).isEmpty();
      // What runs goes on: it needs no room.
      assertThat(itsInit.state().getPid()).isEqualTo(itsInit.pid());
    } finally {
      Files.delete(fill);
    }
    nobodyFeltIt();
  }
}
