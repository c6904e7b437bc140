package brig.testing.bench;

import brig.testing.BrigDaemon;
import brig.testing.Containerd;
import brig.testing.ContainerdVersion;
import brig.testing.Settings;
import brig.testing.client.ContainerdClient;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What measurements stand on: one private containerd that finds all subjects, a gRPC connection per
 * subject, and a daemon of Brig's that serves nobody else.
 */
final class Workbench implements AutoCloseable {

  /** Of one subject at one time; those that are being removed hold their ids a little longer. */
  private static final int MOST_PODS = 1000;

  private final Containerd containerd;
  private final List<Subject> subjects;
  private final Each<ContainerdClient> clients;
  private final BrigDaemon daemon;
  private final Accounts accounts;

  private Workbench(Containerd containerd, List<Subject> subjects, BrigDaemon daemon) {
    this.containerd = containerd;
    this.subjects = List.copyOf(subjects);
    this.daemon = daemon;
    this.accounts = Accounts.open(containerd);
    this.clients =
        new Each<>(
            subjects,
            subject -> new ContainerdClient(containerd, Containerd.NAMESPACE, subject.runtime()));
  }

  /**
   * Starts everything.
   *
   * @param programs directories of the subjects' programs, beside those of the installation
   */
  static Workbench open(
      Settings settings, ContainerdVersion version, List<Path> programs, List<Subject> subjects) {
    try {
      Path place = Files.createTempDirectory(memory(), "brig-b-").toRealPath();
      BrigDaemon daemon = BrigDaemon.configure(settings.prefix(), place, MOST_PODS);
      StringBuilder path = new StringBuilder();
      for (Path directory : programs) {
        path.append(directory).append(':');
      }
      path.append(settings.prefix().resolve("bin")).append(':');
      path.append(settings.containerdPrograms(version)).append(':').append(System.getenv("PATH"));
      requirePrograms(path.toString(), subjects);
      Map<String, String> environment = new HashMap<>(daemon.environment());
      environment.put("PATH", path.toString());
      return new Workbench(
          Containerd.start(settings, version, place.resolve("state"), environment),
          subjects,
          daemon);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Users have Brig's state in /run, which is kept in memory; not every machine's /tmp is. */
  private static Path memory() {
    Path shared = Path.of("/dev/shm");
    return Files.isDirectory(shared) ? shared : Path.of(System.getProperty("java.io.tmpdir"));
  }

  private static void requirePrograms(String path, List<Subject> subjects) {
    for (Subject subject : subjects) {
      Optional<Path> found =
          List.of(path.split(":")).stream()
              .map(directory -> Path.of(directory, subject.program()))
              .filter(Files::isExecutable)
              .findFirst();
      if (found.isEmpty()) {
        throw new IllegalStateException(
            "find the shim: " + subject.program() + ": in no directory of " + path);
      }
    }
  }

  Containerd containerd() {
    return containerd;
  }

  List<Subject> subjects() {
    return subjects;
  }

  boolean has(Subject subject) {
    return subjects.contains(subject);
  }

  Alternation alternation() {
    return new Alternation(subjects);
  }

  BrigDaemon daemon() {
    return daemon;
  }

  Accounts accounts() {
    return accounts;
  }

  ContainerdClient client(Subject subject) {
    return clients.of(subject);
  }

  /** Runs a container to its end as users do; it must end well. */
  void run(Subject subject, String... command) {
    containerd
        .ctr()
        .run(subject.freshId())
        .runtime(subject.runtime())
        .foreground(command)
        .run()
        .orFail();
  }

  @Override
  public void close() {
    clients.forEach(ContainerdClient::close);
    containerd.close();
    daemon.close();
    accounts.close();
  }
}
