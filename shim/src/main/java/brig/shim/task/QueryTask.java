package brig.shim.task;

import brig.proto.containerd.runc.ProcessDetails;
import brig.proto.containerd.task.ConnectRequest;
import brig.proto.containerd.task.ConnectResponse;
import brig.proto.containerd.task.PidsResponse;
import brig.proto.containerd.task.StateRequest;
import brig.proto.containerd.task.StateResponse;
import brig.proto.containerd.task.StatsResponse;
import brig.proto.containerd.v1.types.ProcessInfo;
import brig.proto.keeper.CgroupOp;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import brig.sandbox.lifecycle.ExecProcess;
import brig.sandbox.lifecycle.Exit;
import brig.sandbox.plan.BlockDevices;
import brig.sandbox.plan.Stats;
import brig.shim.relay.StepFailure;
import brig.shim.rpc.Exchange;
import com.google.protobuf.Any;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;

/** What is asked about a container without changing it. */
final class QueryTask {
  private final String version;

  QueryTask(String version) {
    this.version = version;
  }

  StateResponse state(Container container, StateRequest request) throws BrigException {
    String execId = request.getExecId();
    ContainerState state = container.require("state");
    Streams streams = state.streams("state", execId);
    StateResponse.Builder response =
        StateResponse.newBuilder()
            .setId(container.id())
            .setBundle(state.facts().bundle())
            .setStdin(streams.stdin())
            .setStdout(streams.stdout())
            .setStderr(streams.stderr())
            .setTerminal(streams.terminal())
            .setExecId(execId);
    Optional<Exit> exit;
    if (execId.isEmpty()) {
      response.setPid(state.lifecycle().pid()).setStatus(Statuses.ofInit(state));
      exit = state.lifecycle().exit();
    } else {
      ExecProcess exec = state.lifecycle().exec("state", execId);
      response.setPid(exec.pid()).setStatus(Statuses.ofExec(state, exec));
      exit = exec.exit();
    }
    exit.ifPresent(
        how -> response.setExitStatus(how.status()).setExitedAt(Events.timestamp(how.at())));
    return response.build();
  }

  /** Never an error: an unknown id has pid 0. */
  ConnectResponse connect(Pod pod, ConnectRequest request) {
    int pid =
        pod.find(request.getId())
            .flatMap(Container::state)
            .map(state -> state.lifecycle().pid())
            .orElse(0);
    return ConnectResponse.newBuilder()
        .setShimPid(pod.keeperPid())
        .setTaskPid(pid)
        .setVersion(version)
        .build();
  }

  /**
   * All processes of the container; also of one that has not been started or has ended, its init,
   * so that containerd doesn't take it for a leftover when it restarts.
   */
  PidsResponse pids(Container container, Exchange exchange) throws BrigException, StepFailure {
    ContainerState state = container.require("pids");
    Set<Integer> pids = new LinkedHashSet<>();
    pids.add(state.lifecycle().pid());
    if (state.lifecycle().exit().isEmpty()) {
      pids.addAll(exchange.steps().listProcesses(container.id()));
    }
    Map<Integer, String> execs =
        state.lifecycle().execs().entrySet().stream()
            .filter(entry -> entry.getValue().state() == ExecProcess.State.RUNNING)
            .collect(
                Collectors.toMap(
                    entry -> entry.getValue().pid(), Map.Entry::getKey, (first, second) -> first));
    PidsResponse.Builder response = PidsResponse.newBuilder();
    for (int pid : pids) {
      ProcessInfo.Builder process = ProcessInfo.newBuilder().setPid(pid);
      String execId = execs.get(pid);
      if (execId != null) {
        ProcessDetails details = ProcessDetails.newBuilder().setExecId(execId).build();
        process.setInfo(
            Any.newBuilder()
                .setTypeUrl(details.getDescriptorForType().getFullName())
                .setValue(details.toByteString()));
      }
      response.addProcesses(process);
    }
    return response.build();
  }

  StatsResponse stats(Container container, Exchange exchange) throws BrigException, StepFailure {
    ContainerState state = container.require("stats");
    state.lifecycle().checkStats();
    List<CgroupDir> cgroups = ControlTask.cgroups(state);
    CgroupOp read =
        CgroupOp.newBuilder()
            .setContainerId(container.id())
            .addAllReads(Stats.statsFiles(cgroups))
            .build();
    return StatsResponse.newBuilder()
        .setStats(
            MetricsMessages.any(
                Stats.parse(
                    cgroups, exchange.steps().cgroup(read).getFilesList(), BlockDevices.ofHost())))
        .build();
  }
}
