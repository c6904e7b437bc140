package brig.shim.task;

import brig.proto.containerd.v1.types.Status;
import brig.proto.keeper.ProcessInfo;
import brig.proto.plan.LaunchPlan;
import brig.proto.state.ExecPhase;
import brig.proto.state.Phase;
import brig.proto.state.StoredContainer;
import brig.proto.state.StoredExec;
import brig.proto.state.StoredExit;
import brig.proto.state.StoredStreams;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.lifecycle.Lifecycle;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.time.DateTimeException;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/**
 * A container's state as its keeper holds it ({@code brig/state.proto}), and the part of it that
 * the keeper understands.
 */
public final class StateCodec {
  /** Of the message; another one is refused. */
  static final int VERSION = 1;

  private StateCodec() {}

  public static ByteString encode(ContainerState state) {
    Lifecycle lifecycle = state.lifecycle();
    ContainerFacts facts = state.facts();
    StoredContainer.Builder message =
        StoredContainer.newBuilder()
            .setVersion(VERSION)
            .setPhase(phase(lifecycle.state()))
            .setPid(lifecycle.pid())
            .setStartTime(facts.startTime())
            .setBundle(facts.bundle())
            .setStreams(encode(facts.streams()))
            .setPlan(facts.planBytes())
            .addAllNotes(facts.notes())
            .setSpecSha256(facts.specSha256())
            .setCreatedAtSeconds(facts.createdAt().getEpochSecond())
            .setAsked(facts.asked())
            .setReadBack(facts.readBack())
            .setOomKilled(state.oomKilled());
    lifecycle.exit().ifPresent(exit -> message.setExit(encode(exit)));
    lifecycle
        .execs()
        .forEach((id, process) -> {
          ExecFacts exec = state.execs().get(id);
          if (exec != null) {
            message.addExecs(encode(id, process, exec));
          }
        });
    return message.build().toByteString();
  }

  public static ContainerState decode(String id, ByteString bytes) throws StateException {
    StoredContainer message;
    try {
      message = StoredContainer.parseFrom(bytes);
    } catch (InvalidProtocolBufferException e) {
      throw new StateException("state of " + id + " is no message", e);
    }
    if (message.getVersion() != VERSION) {
      throw new StateException("state of " + id + " has version " + message.getVersion());
    }
    try {
      LaunchPlan.parseFrom(message.getPlan());
    } catch (InvalidProtocolBufferException e) {
      throw new StateException("plan in the state of " + id + " is no message", e);
    }
    try {
      return decode(id, message);
    } catch (DateTimeException | ArithmeticException e) {
      throw new StateException("state of " + id + " names a time that there can't be", e);
    }
  }

  private static ContainerState decode(String id, StoredContainer message) throws StateException {
    Map<String, ExecProcess> processes = new LinkedHashMap<>();
    Map<String, ExecFacts> execs = new LinkedHashMap<>();
    for (StoredExec exec : message.getExecsList()) {
      processes.put(exec.getId(), decodeProcess(exec));
      execs.put(exec.getId(), decodeFacts(exec));
    }
    Optional<Exit> exit =
        message.hasExit() ? Optional.of(decode(message.getExit())) : Optional.empty();
    Lifecycle lifecycle =
        new Lifecycle(id, state(id, message.getPhase()), message.getPid(), exit, processes);
    ContainerFacts facts =
        new ContainerFacts(
            message.getBundle(),
            decode(message.getStreams()),
            message.getStartTime(),
            message.getPlan(),
            message.getNotesList(),
            message.getSpecSha256(),
            Instant.ofEpochSecond(message.getCreatedAtSeconds()),
            message.getAsked(),
            message.getReadBack());
    return new ContainerState(lifecycle, facts, execs, message.getOomKilled());
  }

  /** What the keeper says by itself when it is asked for a process's state; by exec id. */
  static Map<String, ProcessInfo> processInfos(ContainerState state) {
    Map<String, ProcessInfo> infos = new LinkedHashMap<>();
    infos.put("", info(state.facts().bundle(), state.facts().streams(), Statuses.ofInit(state)));
    state
        .lifecycle()
        .execs()
        .forEach((id, process) -> {
          ExecFacts exec = state.execs().get(id);
          if (exec != null) {
            infos.put(
                id, info(state.facts().bundle(), exec.streams(), Statuses.ofExec(state, process)));
          }
        });
    return infos;
  }

  static ProcessInfo info(String bundle, Streams streams, Status status) {
    return ProcessInfo.newBuilder()
        .setBundle(bundle)
        .setStdin(streams.stdin())
        .setStdout(streams.stdout())
        .setStderr(streams.stderr())
        .setTerminal(streams.terminal())
        .setStatus(status.getNumber())
        .build();
  }

  private static StoredExec encode(String id, ExecProcess process, ExecFacts facts) {
    StoredExec.Builder exec =
        StoredExec.newBuilder()
            .setId(id)
            .setPhase(phase(process.state()))
            .setPid(process.pid())
            .setStreams(encode(facts.streams()))
            .setProcess(facts.process())
            .setConsoleWidth(facts.consoleWidth())
            .setConsoleHeight(facts.consoleHeight())
            .setStdinClosed(facts.stdinClosed());
    process.exit().ifPresent(exit -> exec.setExit(encode(exit)));
    return exec.build();
  }

  private static ExecProcess decodeProcess(StoredExec exec) throws StateException {
    ExecProcess.State state =
        switch (exec.getPhase()) {
          case EXEC_ADDED -> ExecProcess.State.ADDED;
          case EXEC_RUNNING -> ExecProcess.State.RUNNING;
          case EXEC_STOPPED -> ExecProcess.State.STOPPED;
          case EXEC_PHASE_UNSPECIFIED, UNRECOGNIZED ->
              throw new StateException("state of exec " + exec.getId() + " is unknown");
        };
    Optional<Exit> exit = exec.hasExit() ? Optional.of(decode(exec.getExit())) : Optional.empty();
    return new ExecProcess(state, exec.getPid(), exit);
  }

  private static ExecFacts decodeFacts(StoredExec exec) {
    return new ExecFacts(
        decode(exec.getStreams()),
        exec.getProcess(),
        exec.getConsoleWidth(),
        exec.getConsoleHeight(),
        exec.getStdinClosed());
  }

  private static StoredStreams encode(Streams streams) {
    return StoredStreams.newBuilder()
        .setStdin(streams.stdin())
        .setStdout(streams.stdout())
        .setStderr(streams.stderr())
        .setTerminal(streams.terminal())
        .build();
  }

  private static Streams decode(StoredStreams streams) {
    return new Streams(
        streams.getStdin(), streams.getStdout(), streams.getStderr(), streams.getTerminal());
  }

  private static StoredExit encode(Exit exit) {
    return StoredExit.newBuilder()
        .setStatus(exit.status())
        .setAtSeconds(exit.at().getEpochSecond())
        .setAtNanos(exit.at().getNano())
        .build();
  }

  private static Exit decode(StoredExit exit) {
    return new Exit(
        exit.getStatus(), Instant.ofEpochSecond(exit.getAtSeconds(), exit.getAtNanos()));
  }

  private static Phase phase(Lifecycle.State state) {
    return switch (state) {
      case CREATED -> Phase.CREATED;
      case RUNNING -> Phase.RUNNING;
      case PAUSED -> Phase.PAUSED;
      case STOPPED, DELETED -> Phase.STOPPED;
    };
  }

  private static ExecPhase phase(ExecProcess.State state) {
    return switch (state) {
      case ADDED -> ExecPhase.EXEC_ADDED;
      case RUNNING -> ExecPhase.EXEC_RUNNING;
      case STOPPED -> ExecPhase.EXEC_STOPPED;
    };
  }

  private static Lifecycle.State state(String id, Phase phase) throws StateException {
    return switch (phase) {
      case CREATED -> Lifecycle.State.CREATED;
      case RUNNING -> Lifecycle.State.RUNNING;
      case PAUSED -> Lifecycle.State.PAUSED;
      case STOPPED -> Lifecycle.State.STOPPED;
      case PHASE_UNSPECIFIED, UNRECOGNIZED ->
          throw new StateException("phase of " + id + " is unknown");
    };
  }
}
