package brig.shim.task;

import brig.proto.containerd.runc.Options;
import brig.proto.containerd.task.CreateTaskRequest;
import brig.proto.containerd.task.CreateTaskResponse;
import brig.proto.containerd.types.Mount;
import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.Execute;
import brig.proto.keeper.Executed;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.OpenStage;
import brig.proto.keeper.SourceReport;
import brig.proto.keeper.StageOpened;
import brig.proto.keeper.Timing;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.IdMap;
import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Scope;
import brig.proto.state.CreateChoice;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.Lifecycle;
import brig.sandbox.plan.CreateInput;
import brig.sandbox.plan.IdRange;
import brig.sandbox.plan.PlannedContainer;
import brig.sandbox.plan.PodUserNamespace;
import brig.sandbox.plan.RootfsMount;
import brig.sandbox.plan.SourcePlan;
import brig.sandbox.spec.Spec;
import brig.sandbox.spec.SpecParser;
import brig.shim.relay.KeeperLost;
import brig.shim.relay.StepFailure;
import brig.shim.relay.Steps;
import brig.shim.rpc.Exchange;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Clock;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * Create: from a bundle to an init that stands before its execve.
 *
 * <p>config.json is read by the keeper, the sources are opened by a stage, the plan is made of
 * both, carried out, and what the kernel then says is compared with it. Whatever fails on the way
 * undoes all of it: the stage, the process, the pod's ids.
 */
final class CreateTask {
  /** Number of the step that remembers the choice, where it is one. */
  private static final int CHOICE = 2;

  private final Events events;
  private final ScopeKeeping scopes;
  private final Clock clock;

  CreateTask(Events events, ScopeKeeping scopes, Clock clock) {
    this.events = events;
    this.scopes = scopes;
    this.clock = clock;
  }

  CreateTaskResponse run(Pod pod, Container container, Exchange exchange, CreateTaskRequest request)
      throws BrigException, StepFailure {
    Requests.checkId("create", request.getId());
    Requests.checkBundle(request.getBundle());
    if (container.state().isPresent()) {
      throw new BrigException(
          Kind.ALREADY_EXISTS, "create", request.getId(), "container exists already", "");
    }
    if (!request.getCheckpoint().isEmpty() || !request.getParentCheckpoint().isEmpty()) {
      throw new BrigException(
          Kind.UNIMPLEMENTED,
          "create",
          request.getId(),
          "restoring a checkpoint isn't supported: a process image may hold any state",
          "start the container anew");
    }
    try {
      return create(pod, container, exchange, request);
    } catch (KeeperLost e) {
      // Nothing has failed: the request comes again.
      throw e;
    } catch (Throwable e) {
      pod.releaseIdsIfLast(container, 1);
      throw e;
    }
  }

  private CreateTaskResponse create(
      Pod pod, Container container, Exchange exchange, CreateTaskRequest request)
      throws BrigException, StepFailure {
    long startedAt = System.nanoTime();
    Steps steps = exchange.steps();
    byte[] config = readConfig(steps, request.getBundle());
    Spec spec = SpecParser.parse(config);
    Options options = Requests.runcOptions(request.getOptions());
    CreateChoice choice = choose(pod, container, steps);
    CreateInput input = input(pod, request, spec, choice);
    SourcePlan sources = pod.planner().sources(input);
    boolean asksForScope = pod.planner().asksForScope(input);
    Optional<Scope> scope = Optional.empty();
    Optional<CreatePlan> begun = Optional.empty();
    try {
      Opened opened = open(pod, steps, choice, input, sources, asksForScope);
      if (!opened.choice().equals(choice)) {
        // The daemon before this one had chosen already.
        choice = opened.choice();
        input = input(pod, request, spec, choice);
        opened = opened.with(pod.planner().sources(input));
      }
      opened = openMore(pod, steps, input, opened, asksForScope);
      PlannedContainer planned = plan(pod, input, opened, options);
      pod.checkRoom(
          "create",
          request.getId(),
          ContainerFacts.weight(planned.plan().getSerializedSize(), planned.notes()));
      if (asksForScope) {
        planned = ScopeKeeping.owned(planned, pod, exchange);
        scope = Optional.of(planned.plan().getCreate().getCgroups().getScope());
        scopes.start(pod, scope.get(), spec.linux().resources(), opened.placeholder());
      }
      CreatePlan plan = planned.plan().getCreate();
      begun = Optional.of(plan);
      Executed executed = steps.execute(execute(pod, request, planned));
      ReadBackCheck.compare(
          request.getId(),
          executed,
          plan.getProcess(),
          plan.getUidMapsList(),
          plan.getGidMapsList());
      ContainerFacts facts =
          new ContainerFacts(
              request.getBundle(),
              streams(request),
              executed.getStartTime(),
              planned.plan().toByteString(),
              planned.notes(),
              sha256(config),
              Instant.ofEpochSecond(choice.getCreatedAtSeconds()),
              AskedSummary.of(spec),
              ReadBackCheck.keep(executed));
      ContainerState state =
          new ContainerState(
              Lifecycle.created(request.getId(), executed.getPid()), facts, Map.of(), false);
      exchange.change(Change.created(container, state));
      pod.log()
          .with("container", request.getId())
          .with("pid", executed.getPid())
          .with("mount_order", executed.getMountOrder())
          .with("micros", (System.nanoTime() - startedAt) / 1000)
          .with(
              "stage_micros", executed.getTimingsList().stream().mapToLong(Timing::getMicros).sum())
          .info("container created");
      exchange.publish(events.created(request, executed.getPid()));
      return CreateTaskResponse.newBuilder().setPid(executed.getPid()).build();
    } catch (KeeperLost e) {
      throw e;
    } catch (Throwable e) {
      abort(pod, steps, request.getId());
      // With the stage its placeholder has gone, so that nothing holds the scope any more.
      if (scope.isPresent()) {
        scopes.end(pod, request.getId(), scope.get());
      }
      // A creation that fails ends as any container does.
      begun.ifPresent(plan -> HookRuns.poststop(steps, request.getId(), plan, pod.log()));
      throw e;
    }
  }

  private static byte[] readConfig(Steps steps, String bundle) throws BrigException, StepFailure {
    String path = bundle + "/config.json";
    FileContent content = steps.readFile(path, SpecParser.MAX_BYTES);
    if (!content.getExists()) {
      throw new BrigException(
          Kind.FAILED_PRECONDITION,
          "read config.json",
          path,
          "no such file or directory",
          "check that the bundle is still there");
    }
    return content.getContent().toByteArray();
  }

  /**
   * Takes what else the plan depends on. It is fixed for a replay along with the stage's opening,
   * or by a step of its own where the keeper is older than that.
   */
  private CreateChoice choose(Pod pod, Container container, Steps steps)
      throws BrigException, StepFailure {
    IdRange range = pod.allocateIds();
    CreateChoice.Builder choice =
        CreateChoice.newBuilder()
            .setFirstHostId(range.firstHostId())
            .setIdCount(range.size())
            .setCreatedAtSeconds(clock.instant().getEpochSecond());
    Optional<PodUserNamespace> shared = pod.userNamespace(container.id());
    shared.ifPresent(namespace -> {
      choice.setPodInitPid(namespace.initPid());
      namespace.uidMaps().forEach(map -> choice.addPodUidMaps(map.toByteString()));
      namespace.gidMaps().forEach(map -> choice.addPodGidMaps(map.toByteString()));
    });
    if (pod.takesOneRound()) {
      steps.skip();
      return choice.build();
    }
    return choice(steps.remember(choice.build().toByteString()));
  }

  private static CreateChoice choice(ByteString remembered) {
    try {
      return CreateChoice.parseFrom(remembered);
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalStateException("remembered choice can't be parsed", e);
    }
  }

  private static CreateInput input(
      Pod pod, CreateTaskRequest request, Spec spec, CreateChoice choice) {
    Optional<PodUserNamespace> shared =
        choice.getPodInitPid() == 0
            ? Optional.empty()
            : Optional.of(
                new PodUserNamespace(
                    choice.getPodInitPid(),
                    idMaps(choice.getPodUidMapsList()),
                    idMaps(choice.getPodGidMapsList())));
    return new CreateInput(
        pod.namespace(),
        request.getId(),
        request.getBundle(),
        pod.className(),
        spec,
        request.getRootfsList().stream().map(CreateTask::rootfsMount).toList(),
        request.getTerminal(),
        new IdRange(choice.getFirstHostId(), choice.getIdCount()),
        shared);
  }

  private static List<IdMap> idMaps(List<ByteString> encoded) {
    List<IdMap> maps = new ArrayList<>();
    for (ByteString map : encoded) {
      try {
        maps.add(IdMap.parseFrom(map));
      } catch (InvalidProtocolBufferException e) {
        throw new IllegalStateException("remembered map can't be parsed", e);
      }
    }
    return maps;
  }

  private static RootfsMount rootfsMount(Mount mount) {
    return new RootfsMount(
        mount.getType(), mount.getSource(), mount.getTarget(), mount.getOptionsList());
  }

  /** What a stage has opened and holds, and the choice that it was opened for. */
  private record Opened(
      CreateChoice choice, SourcePlan sources, List<SourceReport> reports, int placeholder) {
    Opened with(SourcePlan others) {
      return new Opened(choice, others, reports, placeholder);
    }
  }

  private static Opened open(
      Pod pod,
      Steps steps,
      CreateChoice choice,
      CreateInput input,
      SourcePlan sources,
      boolean placeholder)
      throws StepFailure {
    OpenStage.Builder asked =
        OpenStage.newBuilder()
            .setContainerId(input.id())
            .addAllSources(sources.sources())
            .setPlaceholder(placeholder);
    if (pod.takesOneRound()) {
      asked.setRemember(choice.toByteString());
    }
    StageOpened opened = steps.openStage(asked.build());
    return new Opened(
        pod.takesOneRound() ? chosenFirst(steps, opened, choice) : choice,
        sources,
        opened.getSourcesList(),
        opened.getPlaceholderPid());
  }

  /** The first daemon's choice; an older one has remembered it by a step of its own. */
  private static CreateChoice chosenFirst(Steps steps, StageOpened opened, CreateChoice choice)
      throws StepFailure {
    return choice(
        opened.getRemembered().isEmpty()
            ? steps.rememberAs(CHOICE, choice.toByteString())
            : opened.getRemembered());
  }

  /** Opens the stage anew where what is open has shown that more is needed. */
  private static Opened openMore(
      Pod pod, Steps steps, CreateInput input, Opened opened, boolean placeholder)
      throws BrigException, StepFailure {
    Optional<SourcePlan> more =
        pod.planner().moreSources(input, opened.sources(), opened.reports());
    if (more.isEmpty()) {
      return opened;
    }
    steps.abort(input.id(), "");
    return open(pod, steps, opened.choice(), input, more.get(), placeholder);
  }

  private static PlannedContainer plan(Pod pod, CreateInput input, Opened opened, Options options)
      throws BrigException {
    PlannedContainer planned = pod.planner().plan(input, opened.sources(), opened.reports());
    CreatePlan plan = planned.plan().getCreate();
    pod.ids().book(plan.getUidMapsList(), plan.getGidMapsList());
    return options.getNoNewKeyring() ? withoutKeyring(planned) : planned;
  }

  private static PlannedContainer withoutKeyring(PlannedContainer planned) {
    LaunchPlan.Builder plan = planned.plan().toBuilder();
    plan.getCreateBuilder().getProcessBuilder().setNewSessionKeyring(false);
    return planned.withPlan(plan.build());
  }

  private static Execute execute(Pod pod, CreateTaskRequest request, PlannedContainer planned) {
    Streams streams = streams(request);
    return Execute.newBuilder()
        .setContainerId(request.getId())
        .setPlan(planned.plan().toByteString())
        .setStdio(
            streams
                .toStdio(planned.stdioUid(), planned.stdioGid())
                .setContainerId(request.getId())
                .setNamespace(pod.namespace()))
        .setCare(planned.care())
        .setInfo(StateCodec.info(request.getBundle(), streams, Status.CREATED))
        .build();
  }

  private static Streams streams(CreateTaskRequest request) {
    return new Streams(
        request.getStdin(), request.getStdout(), request.getStderr(), request.getTerminal());
  }

  private static void abort(Pod pod, Steps steps, String id) {
    try {
      steps.abort(id, "");
    } catch (StepFailure e) {
      if (e.errno() == ErrorText.EBUSY) {
        pod.keepIds();
      }
      pod.log()
          .with("container", id)
          .warn("create not undone wholly: " + ErrorText.of(e.failure()));
    }
  }

  private static String sha256(byte[] bytes) {
    try {
      return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("the JDK has SHA-256", e);
    }
  }
}
