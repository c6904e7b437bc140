package brig.shim.relay;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(60)
class PeersTest {
  private Path directory;
  private Path socket;
  private ServerSocketChannel listener;

  @BeforeEach
  void listen() throws IOException {
    directory =
        Files.createTempDirectory(
            "peers",
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwxr-xr-x")));
    socket = directory.resolve("s");
    listener = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
    listener.bind(UnixDomainSocketAddress.of(socket));
    Files.setPosixFilePermissions(socket, PosixFilePermissions.fromString("rwxrwxrwx"));
  }

  @AfterEach
  void close() throws IOException {
    listener.close();
    Files.delete(socket);
    Files.delete(directory);
  }

  @Test
  void ownUserMaySpeak() throws IOException {
    try (SocketChannel client = SocketChannel.open(UnixDomainSocketAddress.of(socket));
        SocketChannel served = listener.accept()) {
      assertThat(client.isConnected()).isTrue();
      assertThat(Peers.ownUserAndRoot().mayOpen(served)).isTrue();
    }
  }

  @Test
  void aForeignUserMayNot() throws IOException, InterruptedException {
    isTurnedAway("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups");
  }

  @Test
  void theRootOfAUserNamespaceOfOtherIdsMayNot() throws IOException, InterruptedException {
    isTurnedAway(
        "setpriv",
        "--reuid=100000",
        "--regid=100000",
        "--clear-groups",
        "unshare",
        "--user",
        "--map-root-user");
  }

  private void isTurnedAway(String... as) throws IOException, InterruptedException {
    List<String> command = new ArrayList<>(List.of(as));
    command.addAll(
        List.of(
            "perl",
            "-MIO::Socket::UNIX",
            "-e",
            "my $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die; <STDIN>;",
            socket.toString()));
    Process foreign =
        new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT).start();
    try (SocketChannel served = listener.accept()) {
      assertThat(Peers.ownUserAndRoot().mayOpen(served)).isFalse();
    } finally {
      foreign.getOutputStream().close();
      assertThat(foreign.waitFor(20, TimeUnit.SECONDS)).isTrue();
    }
  }
}
