package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.SandboxConfig;
import brig.sandbox.ids.IdRanges;
import brig.sandbox.ids.SubIds;
import brig.sandbox.systemd.Scopes;
import brig.shim.log.Log;
import brig.shim.metrics.Measures;
import brig.shim.metrics.MetricsDoor;
import brig.shim.relay.Peers;
import brig.shim.relay.RelayServer;
import brig.shim.rpc.Dispatcher;
import brig.shim.task.NoticeService;
import brig.shim.task.TaskService;
import io.grpc.ServerServiceDefinition;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;

/** Everything of the daemon, wired. */
final class Daemon implements AutoCloseable {
  private static final List<String> SUBORDINATE_IDS = List.of("/etc/subuid", "/etc/subgid");

  private final RelayServer server;
  private final List<MetricsDoor> doors;

  private Daemon(RelayServer server, List<MetricsDoor> doors) {
    this.server = server;
    this.doors = doors;
  }

  static Daemon on(ServerSocketChannel listener, SandboxConfig config, Clock clock, Log log)
      throws BrigException, IOException {
    IdRanges ids = idRanges(config, log);
    ServerServiceDefinition task =
        new TaskService(Version.program(), new Scopes(), clock, log).bindService();
    List<ServerServiceDefinition> clients =
        List.of(task, Dispatcher.alias(task, TaskService.V3_NAME));
    List<ServerServiceDefinition> all = new ArrayList<>(clients);
    all.add(new NoticeService(clock, log).bind());
    Path run = Path.of(config.paths().run());
    Peers peers = Peers.ownUserAndRoot();
    GrpcDoors grpc = new GrpcDoors(run, clients, peers, log);
    PodRecords records = new PodRecords(run, log);
    Measures measures = new Measures(Version.labels());
    Pods pods =
        new Pods(config, ids, records, new Dispatcher(all, log), grpc, measures, clock, log);
    List<MetricsDoor> doors = new ArrayList<>();
    String socket = config.metrics().socket().orElse(run.resolve("metrics.sock").toString());
    doors.add(new MetricsDoor(UnixDomainSocketAddress.of(socket), peers, pods::metrics, log));
    if (config.metrics().listen().isPresent()) {
      InetSocketAddress address = config.metrics().listen().get();
      doors.add(new MetricsDoor(address, peers, pods::metrics, log));
    }
    return new Daemon(new RelayServer(listener, peers, pods, measures, log), doors);
  }

  /** Serves until {@link #close}. */
  void run() {
    doors.forEach(MetricsDoor::start);
    server.run();
  }

  @Override
  public void close() throws IOException {
    for (MetricsDoor door : doors) {
      door.close();
    }
    server.close();
  }

  private static IdRanges idRanges(SandboxConfig config, Log log) throws BrigException {
    List<SubIds> foreign = new ArrayList<>();
    for (String file : SUBORDINATE_IDS) {
      foreign.addAll(subordinateIds(Path.of(file)));
    }
    Path table = Path.of(config.paths().run(), "ids");
    return IdRanges.load(table, config.ids(), foreign, log::warn);
  }

  private static List<SubIds> subordinateIds(Path file) throws BrigException {
    try {
      // Names of users may have any bytes; the numbers are digits.
      return SubIds.parse(Files.readString(file, StandardCharsets.ISO_8859_1));
    } catch (NoSuchFileException e) {
      return List.of();
    } catch (IOException e) {
      throw new BrigException(
          Kind.FAILED_PRECONDITION,
          "read subordinate ids",
          file.toString(),
          String.valueOf(e.getMessage()),
          "let brigd read it: what it gives away must not be given to pods");
    }
  }
}
