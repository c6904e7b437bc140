package brig.sandbox.dbus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** With the message bus that machines have, and with peers that misbehave. */
final class ConnectionTest {
  private static final Duration LIMIT = Duration.ofSeconds(30);
  private static final String BUS = "org.freedesktop.DBus";

  @TempDir Path directory = Path.of("");

  @Test
  void aBusUnderstandsCallsAndPassesOnSignals() throws IOException, DBusException {
    Path socket = directory.resolve("bus");
    Process bus = startBus(socket);
    try (Connection connection = Connection.toBus(socket, LIMIT)) {
      connection.subscribe("type='signal',member='NameOwnerChanged'");
      List<Object> names = connection.call(BUS, "/", BUS, "ListNames", "", List.of());
      assertThat((List<?>) names.getFirst()).asList().contains(BUS);
      try (Connection other = Connection.toBus(socket, LIMIT)) {
        other.call(BUS, "/", BUS, "RequestName", "su", List.of("brig.Test", 0L));
      }
      assertThat(
              connection.<String>awaitSignal(
                  BUS,
                  "NameOwnerChanged",
                  "sss",
                  body ->
                      body.getFirst().equals("brig.Test") ? Optional.of("seen") : Optional.empty()))
          .isEqualTo("seen");
      assertThatThrownBy(() -> connection.call(BUS, "/", BUS, "NoSuch", "", List.of()))
          .isInstanceOfSatisfying(
              DBusException.Refused.class,
              e -> assertThat(e.name()).isEqualTo(BUS + ".Error.UnknownMethod"));
    } finally {
      bus.destroy();
    }
  }

  private Process startBus(Path socket) throws IOException {
    Path config = directory.resolve("bus.conf");
    Files.writeString(
        config,
        """
        <busconfig>
          <listen>unix:path=%s</listen>
          <auth>EXTERNAL</auth>
          <policy context="default">
            <allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/>
          </policy>
        </busconfig>
        """
            .formatted(socket));
    Process bus =
        new ProcessBuilder(
                "dbus-daemon",
                "--nofork",
                "--nopidfile",
                "--nosyslog",
                "--print-address",
                "--config-file=" + config)
            .start();
    // It says its address once it listens.
    bus.inputReader().readLine();
    return bus;
  }

  @Test
  void silenceHasAnEnd() throws IOException {
    Path socket = directory.resolve("peer");
    try (FakePeer peer = new FakePeer(socket, call -> List.of())) {
      long begun = System.nanoTime();
      assertThatThrownBy(
              () -> {
                try (Connection connection = Connection.toService(socket, Duration.ofMillis(200))) {
                  connection.call("a.b", "/", "a.b", "Wait", "", List.of());
                }
              })
          .isInstanceOf(DBusException.Late.class)
          .hasMessageContaining("Wait");
      assertThat(TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - begun)).isLessThan(20);
      assertThat(peer.members()).containsExactly("Wait");
    }
  }

  @Test
  void aPeerThatHangsUpOrTalksNonsenseIsTold() throws IOException {
    for (FakePeer.Answer answer :
        List.of(
            new FakePeer.Answer.Hangup(),
            new FakePeer.Answer.Bytes(new byte[] {1, 2, 3, 4}),
            new FakePeer.Answer.Bytes(
                "l....................".getBytes(java.nio.charset.StandardCharsets.US_ASCII)))) {
      Path socket = directory.resolve("peer" + answer.hashCode());
      try (FakePeer peer =
              new FakePeer(socket, call -> List.of(answer, new FakePeer.Answer.Hangup()));
          Connection connection = Connection.toService(socket, LIMIT)) {
        assertThatThrownBy(() -> connection.call("a.b", "/", "a.b", "M", "", List.of()))
            .isInstanceOfAny(DBusException.Unreachable.class, DBusException.Malformed.class);
        assertThat(peer.members()).containsExactly("M");
      } catch (DBusException e) {
        throw new AssertionError(e);
      }
    }
  }

  @Test
  void nobodyThereIsTold() {
    assertThatThrownBy(() -> Connection.toBus(directory.resolve("none"), LIMIT))
        .isInstanceOf(DBusException.Unreachable.class)
        .hasMessageContaining("none");
  }
}
