package brig.shim.daemon;

import brig.proto.keeper.Command;
import brig.proto.keeper.Drops;
import brig.proto.keeper.Hello;
import brig.proto.keeper.PodRecord;
import brig.proto.keeper.Request;
import brig.proto.keeper.Welcome;
import brig.sandbox.SandboxConfig;
import brig.sandbox.ids.IdRanges;
import brig.sandbox.plan.Planners;
import brig.shim.command.Commands;
import brig.shim.log.Log;
import brig.shim.metrics.Exposition;
import brig.shim.metrics.Measures;
import brig.shim.metrics.Node;
import brig.shim.relay.CommandOutput;
import brig.shim.relay.KeeperConnection;
import brig.shim.relay.RelayServer;
import brig.shim.relay.RelayServer.Greeting;
import brig.shim.relay.Steps;
import brig.shim.rpc.Dispatcher;
import brig.shim.task.ContainerState;
import brig.shim.task.GoneContainers;
import brig.shim.task.Pod;
import brig.shim.task.PodIds;
import brig.shim.task.StateException;
import brig.shim.task.Statuses;
import io.grpc.Context;
import java.io.IOException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The pods whose keepers are connected, and the way of each request to its handler. */
final class Pods implements RelayServer.Roles {
  /**
   * @param door where the pod is called over gRPC, if it is
   */
  private record Connected(Pod pod, KeeperConnection connection, Optional<PodDoors.Door> door) {
    /** Before anybody opens it again. */
    void closeDoor() {
      try {
        if (door.isPresent()) {
          door.get().close();
        }
      } catch (IOException e) {
        pod.log().warn("gRPC socket not removed: " + e.getMessage());
      }
    }
  }

  private final Planners planners;
  private final IdRanges ids;
  private final long rangesMax;
  private final PodRecords records;
  private final Dispatcher dispatcher;
  private final PodDoors doors;
  private final Measures measures;
  private final Clock clock;
  private final Log log;
  private final LostPods lost;
  private final Map<String, Connected> byInstance = new ConcurrentHashMap<>();
  private final GoneContainers gone = new GoneContainers();

  Pods(
      SandboxConfig config,
      IdRanges ids,
      PodRecords records,
      Dispatcher dispatcher,
      PodDoors doors,
      Measures measures,
      Clock clock,
      Log log) {
    this.planners = new Planners(config);
    this.rangesMax = config.ids().poolSize() / config.ids().perPod();
    this.ids = ids;
    this.records = records;
    this.dispatcher = dispatcher;
    this.doors = doors;
    this.measures = measures;
    this.clock = clock;
    this.log = log;
    this.lost =
        new LostPods(ids, records, () -> Set.copyOf(byInstance.keySet()), System::nanoTime, log);
    lost.look();
  }

  /**
   * Those there are at this moment, by namespace and group; where a keeper isn't connected, as its
   * record has them.
   */
  List<Pod> list() {
    List<Pod> pods = new ArrayList<>();
    byInstance.values().forEach(connected -> pods.add(connected.pod()));
    for (PodRecord record : records.all()) {
      Hello hello = record.getHello();
      if (!byInstance.containsKey(hello.getInstance())) {
        try {
          pods.add(Pod.away(hello, planners, ids, log));
        } catch (StateException e) {
          log.warn("record of pod " + hello.getGroup() + " left out: " + e.getMessage());
        }
      }
    }
    pods.sort(Comparator.comparing(Pod::namespace).thenComparing(Pod::group));
    return pods;
  }

  /** What the daemon counts and measures. */
  String metrics(Exposition.Format format) {
    return measures.text(format, this::node);
  }

  private Node node() {
    Map<String, Integer> containers =
        new HashMap<>(Map.of("created", 0, "running", 0, "paused", 0, "stopped", 0));
    int away = 0;
    int here = 0;
    int execs = 0;
    for (Pod pod : list()) {
      if (pod.isAway()) {
        away++;
      } else {
        here++;
      }
      for (ContainerState state : pod.states()) {
        containers.merge(Statuses.name(state), 1, Integer::sum);
        execs += state.lifecycle().execs().size();
      }
    }
    return new Node(here, away, containers, execs, ids.pods().size(), rangesMax);
  }

  @Override
  public Greeting keeper(Hello hello, KeeperConnection connection) {
    Log podLog = log.with("pod", hello.getNamespace() + "/" + hello.getGroup());
    Optional<String> refusal = refusal(hello);
    if (refusal.isPresent()) {
      podLog.error("keeper refused: " + refusal.get());
      return new Greeting(welcome().setRefused(refusal.get()).build(), Optional.empty());
    }
    PodIds podIds = new PodIds(ids, hello.getInstance());
    Pod pod;
    try {
      pod = Pod.of(hello, planners, podIds, gone, podLog);
    } catch (StateException e) {
      podLog.error("keeper refused: " + e.getMessage());
      return new Greeting(welcome().setRefused(e.getMessage()).build(), Optional.empty());
    }
    Connected before = byInstance.remove(hello.getInstance());
    if (before != null) {
      before.closeDoor();
      before.connection().close();
    }
    Optional<PodDoors.Door> door;
    try {
      door =
          hello.getGrpc()
              ? Optional.of(doors.open(hello.getInstance(), connection.calls()))
              : Optional.empty();
    } catch (IOException e) {
      podLog.error("keeper refused: " + e.getMessage());
      String reason = String.valueOf(e.getMessage());
      return new Greeting(welcome().setRefused(reason).build(), Optional.empty());
    }
    Connected now = new Connected(pod, connection, door);
    byInstance.put(hello.getInstance(), now);
    podLog
        .with("keeper", hello.getPid())
        .with("containers", pod.states().size())
        .info("keeper connected");
    String address = door.map(opened -> opened.path().toString()).orElse("");
    return new Greeting(welcome().setGrpcAddress(address).build(), Optional.of(new Handler(now)));
  }

  private static Optional<String> refusal(Hello hello) {
    if (!Version.speaksWith(Version.KEEPER_PROTOCOL, hello.getProtocolVersion())) {
      return Optional.of(
          "keeper protocol " + hello.getProtocolVersion() + " isn't " + Version.KEEPER_PROTOCOL);
    }
    if (!Version.speaksWith(Version.PLAN, hello.getPlanVersion())) {
      return Optional.of("plan version " + hello.getPlanVersion() + " isn't " + Version.PLAN);
    }
    if (hello.getInstance().isEmpty()) {
      return Optional.of("Hello names no instance");
    }
    return Optional.empty();
  }

  private static Welcome.Builder welcome() {
    return Welcome.newBuilder()
        .setProtocolVersion(Version.KEEPER_PROTOCOL)
        .setPlanVersion(Version.PLAN)
        .setProgramVersion(Version.program());
  }

  @Override
  public int command(Command command, CommandOutput output) throws IOException {
    return new Commands(this::list, gone::list, Version.text(), this::metrics, clock)
        .run(command, output);
  }

  private final class Handler implements KeeperConnection.Handler {
    private final Connected connected;
    private final Context context;

    Handler(Connected connected) {
      this.connected = connected;
      this.context = Context.ROOT.withValue(Pod.KEY, connected.pod());
    }

    @Override
    public void request(Request request, Steps steps) {
      dispatcher.dispatch(context, request, steps, connected.connection());
    }

    @Override
    public void drops(Drops drops) {
      connected.pod().hasDropped(drops);
    }

    @Override
    public void closed() {
      byInstance.remove(connected.pod().instance(), connected);
      connected.closeDoor();
      lost.look();
      log.with("pod", connected.pod().toString()).info("keeper's connection ended");
    }
  }
}
