package brig.shim.daemon;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.SandboxConfig;
import brig.sandbox.ids.IdRanges;
import brig.sandbox.ids.SubIds;
import brig.sandbox.systemd.Scopes;
import brig.shim.log.Log;
import brig.shim.relay.Peers;
import brig.shim.relay.RelayServer;
import brig.shim.rpc.Dispatcher;
import brig.shim.task.NoticeService;
import brig.shim.task.TaskService;
import io.grpc.ServerServiceDefinition;
import java.io.IOException;
import java.nio.channels.ServerSocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;

/**
 * {@code brigd}: one per node. Holds nothing that its end would lose, so it has no orderly end: a
 * SIGTERM ends it at once, and the keepers go on.
 */
public final class Main {
  private static final List<String> SUBORDINATE_IDS = List.of("/etc/subuid", "/etc/subgid");

  private Main() {}

  public static void main(String[] arguments) {
    Log log = Log.toStandardError();
    Thread.setDefaultUncaughtExceptionHandler((thread, fault) ->
        log.with("thread", thread.getName()).error("thread ended by a fault", fault));
    try {
      run(Options.parse(List.of(arguments), System.getenv()), log);
    } catch (BrigException e) {
      log.error(String.valueOf(e.getMessage()));
      System.exit(1);
    } catch (IOException e) {
      log.error("serve the socket: " + e.getMessage());
      System.exit(1);
    }
  }

  private static void run(Options options, Log log) throws BrigException, IOException {
    SandboxConfig config = Configuration.read(options);
    try (ServerSocketChannel listener = Listeners.open(options, config);
        RelayServer server = server(listener, config, Clock.systemUTC(), log)) {
      log.with("version", Version.program()).with("run", config.paths().run()).info("brigd serves");
      server.run();
    }
  }

  /** Everything, wired. */
  static RelayServer server(
      ServerSocketChannel listener, SandboxConfig config, Clock clock, Log log)
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
    GrpcDoors doors = new GrpcDoors(run, clients, peers, log);
    PodRecords records = new PodRecords(run, log);
    Pods pods = new Pods(config, ids, records, new Dispatcher(all, log), doors, clock, log);
    return new RelayServer(listener, peers, pods, log);
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
