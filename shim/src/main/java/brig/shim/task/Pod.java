package brig.shim.task;

import brig.proto.keeper.ContainerRecord;
import brig.proto.keeper.Drops;
import brig.proto.keeper.Hello;
import brig.proto.keeper.HostFacts;
import brig.proto.plan.CreatePlan;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.ids.IdRanges;
import brig.sandbox.plan.IdRange;
import brig.sandbox.plan.Planner;
import brig.sandbox.plan.Planners;
import brig.sandbox.plan.PodUserNamespace;
import brig.shim.log.Log;
import brig.shim.relay.FrameDecoder;
import brig.shim.relay.Steps;
import io.grpc.Context;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;

/**
 * The containers behind one keeper, as long as its connection lasts; the next connection makes a
 * new pod out of what the keeper kept.
 */
public final class Pod {
  /** What handlers find in their context. */
  public static final Context.Key<Pod> KEY = Context.key("pod");

  /**
   * What a pod's keeper is given to hold, in bytes: it says all of it in the one frame of its
   * Hello.
   */
  static final long MOST_HELD = FrameDecoder.MAX_FRAME / 2;

  private final Hello hello;
  private final PodName name;
  private final Planner planner;
  private final PodIds ids;
  private final GoneContainers gone;
  private final Log log;
  private final Map<String, Container> containers = new HashMap<>();
  private final boolean away;
  private int creating;
  private boolean idsKept;
  private volatile Drops drops;

  private Pod(
      Hello hello, Planner planner, PodIds ids, GoneContainers gone, Log log, boolean away) {
    // What it says of containers is taken over, and then old.
    this.hello = hello.toBuilder().clearContainers().build();
    this.name = new PodName(hello.getNamespace(), hello.getGroup(), hello.getClassName());
    this.planner = planner;
    this.ids = ids;
    this.gone = gone;
    this.log = log;
    this.away = away;
    this.drops = hello.getDrops();
  }

  /**
   * Takes over what a keeper holds.
   *
   * @param gone where containers go that are deleted
   * @throws StateException where it holds what this daemon can't read
   */
  public static Pod of(Hello hello, Planners planners, PodIds ids, GoneContainers gone, Log log)
      throws StateException {
    Pod pod = new Pod(hello, planners.on(hello.getHost()), ids, gone, log, false);
    pod.takeOver(hello);
    pod.states().forEach(pod::bookAgain);
    if (hello.getStuckStagesCount() > 0) {
      pod.keepIds();
    }
    return pod;
  }

  /** What a keeper that isn't connected has recorded: to be looked at, not to be worked on. */
  public static Pod away(Hello hello, Planners planners, IdRanges table, Log log)
      throws StateException {
    PodIds ids = new PodIds(table, hello.getInstance());
    Pod pod = new Pod(hello, planners.on(hello.getHost()), ids, new GoneContainers(), log, true);
    pod.takeOver(hello);
    return pod;
  }

  private void takeOver(Hello hello) throws StateException {
    for (ContainerRecord record : hello.getContainersList()) {
      if (!record.getState().isEmpty()) {
        ContainerState state = StateCodec.decode(record.getContainerId(), record.getState());
        containers.put(state.id(), new Container(state));
      }
    }
  }

  private void bookAgain(ContainerState state) {
    CreatePlan plan = state.facts().plan().getCreate();
    try {
      ids.book(plan.getUidMapsList(), plan.getGidMapsList());
    } catch (BrigException e) {
      log.with("container", state.id()).warn("ids of a living container: " + e.getMessage());
    }
  }

  static Pod current() {
    Pod pod = KEY.get();
    if (pod == null) {
      throw new IllegalStateException("called outside of a pod");
    }
    return pod;
  }

  /** What the keeper had to drop since it began, as far as it has said so. */
  public Drops drops() {
    return drops;
  }

  /** The keeper says so anew. */
  public void hasDropped(Drops now) {
    drops = now;
  }

  /** Whether this is a record's word, because the keeper isn't connected. */
  public boolean isAway() {
    return away;
  }

  public PodName name() {
    return name;
  }

  public String namespace() {
    return name.namespace();
  }

  public String group() {
    return name.group();
  }

  public String className() {
    return name.className();
  }

  public String instance() {
    return hello.getInstance();
  }

  public String containerdAddress() {
    return hello.getContainerdAddress();
  }

  public int keeperPid() {
    return hello.getPid();
  }

  public HostFacts host() {
    return hello.getHost();
  }

  /** Whether the keeper takes steps that belong together as one. */
  boolean takesOneRound() {
    return hello.getProtocolVersion() >= Steps.ONE_ROUND;
  }

  Planner planner() {
    return planner;
  }

  public Log log() {
    return log;
  }

  PodIds ids() {
    return ids;
  }

  /** The pod's containers at this moment. */
  public synchronized List<ContainerState> states() {
    List<ContainerState> states = new ArrayList<>();
    containers.values().forEach(container -> container.state().ifPresent(states::add));
    states.sort(Comparator.comparing(ContainerState::id));
    return states;
  }

  /** Keeps what is known of a container whose cgroups are still there, for later questions. */
  void remember(ContainerState last) {
    gone.add(GoneContainer.of(name, last));
  }

  /** The container, or NOT_FOUND. */
  synchronized Container container(String step, String id) throws BrigException {
    Container container = containers.get(id);
    if (container == null) {
      throw new BrigException(Kind.NOT_FOUND, step, id, "container not found", "");
    }
    return container;
  }

  /**
   * Puts a task into the queue of a container (empty exec id) or of one of its execs, in the order
   * of these calls.
   *
   * @throws BrigException NOT_FOUND where the container is not known
   */
  synchronized void submit(String step, String id, String execId, Consumer<Container> task)
      throws BrigException {
    Container container = container(step, id);
    container.submit(
        execId,
        () -> {
          task.accept(container);
          forgetIfVacant(container);
        });
  }

  synchronized Optional<Container> find(String id) {
    return Optional.ofNullable(containers.get(id));
  }

  /** The container that a Create is about; known from now on. */
  synchronized Container createBegins(String id) {
    Container container = containers.computeIfAbsent(id, Container::new);
    container.createBegins();
    creating++;
    return container;
  }

  /** To be called once for each {@link #createBegins}, as it is answered. */
  synchronized void createEnds(Container container) {
    container.createEnds();
    creating--;
  }

  synchronized void forgetIfVacant(Container container) {
    if (container.isVacant()) {
      containers.remove(container.id(), container);
    }
  }

  /** Nothing is in it and nothing is about to be. */
  synchronized boolean isEmpty() {
    return creating == 0 && containers.values().stream().allMatch(c -> c.state().isEmpty());
  }

  /**
   * Makes sure that the keeper can hold so much more.
   *
   * @throws BrigException RESOURCE_EXHAUSTED where that is too much
   */
  void checkRoom(String step, String id, long more) throws BrigException {
    long held = states().stream().mapToLong(ContainerState::weight).sum();
    if (held + more > MOST_HELD) {
      throw new BrigException(
          Kind.RESOURCE_EXHAUSTED,
          step,
          id,
          "takes "
              + more
              + " bytes, and with the "
              + held
              + " of the pod's containers and execs the keeper would hold more than "
              + MOST_HELD,
          "delete execs that have ended, or make the container's configuration smaller");
    }
  }

  /** Range of the pod's own, the same until {@link #releaseIdsIfLast}. */
  synchronized IdRange allocateIds() throws BrigException {
    return ids.allocate();
  }

  /**
   * Something of the pod hangs in the kernel, with mounts of its ids: they aren't given to others.
   */
  synchronized void keepIds() {
    idsKept = true;
  }

  /**
   * Frees the pod's ids if nothing but {@code container} is or will be in it. The caller has made
   * sure that nothing of the container lives.
   *
   * @param creates Creates under way that don't count, for they have failed
   */
  synchronized void releaseIdsIfLast(Container container, int creates) {
    boolean others =
        containers.values().stream().anyMatch(c -> c != container && c.state().isPresent());
    if (others || idsKept || creating > creates) {
      return;
    }
    try {
      ids.release();
    } catch (BrigException e) {
      log.warn("ids are free, but not on disk: " + e.getMessage());
    }
  }

  /**
   * The user namespace that further containers share: that of the container which the pod is named
   * after, else of the oldest that lives and has one of its own.
   */
  synchronized Optional<PodUserNamespace> userNamespace(String except) {
    return states().stream()
        .filter(state -> !state.id().equals(except) && isAlive(state))
        .min(
            Comparator.comparing((ContainerState state) -> !state.id().equals(group()))
                .thenComparing(state -> state.facts().createdAt())
                .thenComparing(ContainerState::id))
        .flatMap(Pod::userNamespaceOf);
  }

  private static Optional<PodUserNamespace> userNamespaceOf(ContainerState state) {
    CreatePlan plan = state.facts().plan().getCreate();
    if (plan.getUidMapsCount() == 0) {
      return Optional.empty();
    }
    return Optional.of(
        new PodUserNamespace(
            state.lifecycle().pid(), plan.getUidMapsList(), plan.getGidMapsList()));
  }

  private static boolean isAlive(ContainerState state) {
    return switch (state.lifecycle().state()) {
      case CREATED, RUNNING, PAUSED -> true;
      case STOPPED, DELETED -> false;
    };
  }

  @Override
  public String toString() {
    return name.toString();
  }
}
