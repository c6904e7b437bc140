package brig.shim.daemon;

import brig.proto.containerd.task.CreateTaskRequest;
import brig.proto.containerd.task.DeleteRequest;
import brig.proto.containerd.task.ExecProcessRequest;
import brig.proto.containerd.task.KillRequest;
import brig.proto.containerd.task.ResizePtyRequest;
import brig.proto.containerd.task.StartRequest;
import brig.proto.containerd.task.StateRequest;
import brig.proto.containerd.task.WaitRequest;
import brig.proto.keeper.CgroupContent;
import brig.proto.keeper.CgroupMount;
import brig.proto.keeper.Done;
import brig.proto.keeper.Executed;
import brig.proto.keeper.ExitedNotice;
import brig.proto.keeper.Failure;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.HostFacts;
import brig.proto.keeper.OpenStage;
import brig.proto.keeper.ProcessList;
import brig.proto.keeper.Remembered;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.proto.keeper.StageOpened;
import brig.proto.keeper.Step;
import brig.proto.keeper.StepResult;
import brig.proto.plan.Capabilities;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.IdMap;
import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Process;
import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.Collectors;

/** What a keeper's script answers where all goes well, and the requests that lead there. */
final class Scripts {
  static final String CONFIG =
      """
      {"ociVersion": "1.1.0",
       "process": {"user": {"uid": 0, "gid": 0}, "args": ["sleep", "1"], "env": ["PATH=/bin"], "cwd": "/",
         "capabilities": {"bounding": ["CAP_CHOWN"], "effective": ["CAP_CHOWN"], "permitted": ["CAP_CHOWN"]}},
       "root": {"path": "rootfs"},
       "linux": {"cgroupsPath": "/default/c1",
         "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"}, {"type": "network"}]}}
      """;

  private static final long EXT4_MAGIC = 0xEF53;
  private static final int DIRECTORY = 040755;

  private Scripts() {}

  static HostFacts host() {
    return HostFacts.newBuilder()
        .setKernelRelease("6.12.0")
        .setMachine("x86_64")
        .setLandlockAbi(6)
        .addCgroups(
            CgroupMount.newBuilder()
                .setMountPoint("/sys/fs/cgroup")
                .setV2(true)
                .addAllControllers(List.of("cpuset", "cpu", "io", "memory", "hugetlb", "pids"))
                .setOwnPath("/system.slice/containerd.service"))
        .setPageSize(4096)
        .setLastCapability(40)
        .setBounding((1L << 41) - 1)
        .build();
  }

  static CreateTaskRequest create(String id) {
    return CreateTaskRequest.newBuilder()
        .setId(id)
        .setBundle("/run/bundle/" + id)
        .setStdout("/run/fifo/" + id + "-stdout")
        .setTerminal(false)
        .build();
  }

  static StateRequest stateRequest(String id, String execId) {
    return StateRequest.newBuilder().setId(id).setExecId(execId).build();
  }

  static StartRequest start(String id, String execId) {
    return StartRequest.newBuilder().setId(id).setExecId(execId).build();
  }

  static DeleteRequest delete(String id, String execId) {
    return DeleteRequest.newBuilder().setId(id).setExecId(execId).build();
  }

  static WaitRequest wait(String id, String execId) {
    return WaitRequest.newBuilder().setId(id).setExecId(execId).build();
  }

  static KillRequest kill(String id, String execId, int signal) {
    return KillRequest.newBuilder().setId(id).setExecId(execId).setSignal(signal).build();
  }

  static ResizePtyRequest resize(String id, String execId) {
    return ResizePtyRequest.newBuilder()
        .setId(id)
        .setExecId(execId)
        .setWidth(80)
        .setHeight(24)
        .build();
  }

  static ExecProcessRequest exec(String id, String execId) {
    return ExecProcessRequest.newBuilder()
        .setId(id)
        .setExecId(execId)
        .setSpec(
            Any.newBuilder()
                .setTypeUrl("types.containerd.io/opencontainers/runtime-spec/1/Process")
                .setValue(
                    ByteString.copyFromUtf8(
                        "{\"user\": {\"uid\": 0, \"gid\": 0}, \"args\": [\"true\"],"
                            + " \"cwd\": \"/\"}")))
        .build();
  }

  static ExitedNotice exited(String id, String execId, int pid, int status) {
    return ExitedNotice.newBuilder()
        .setContainerId(id)
        .setExecId(execId)
        .setPid(pid)
        .setExitStatus(status)
        .setExitedAtSeconds(1_700_000_000L + status)
        .setExitedAtNanos(5)
        .build();
  }

  static Any memoryLimit(long bytes) {
    return Any.newBuilder()
        .setTypeUrl("types.containerd.io/opencontainers/runtime-spec/1/LinuxResources")
        .setValue(ByteString.copyFromUtf8("{\"memory\": {\"limit\": " + bytes + "}}"))
        .build();
  }

  /** Everything succeeds; each process has the pid after the one before it. */
  static Function<Step, StepResult> succeeding() {
    AtomicInteger lastPid = new AtomicInteger(1000);
    List<CreatePlan> plans = new CopyOnWriteArrayList<>();
    return step -> success(step, lastPid, plans);
  }

  private static StepResult success(Step step, AtomicInteger lastPid, List<CreatePlan> plans) {
    StepResult.Builder result = StepResult.newBuilder();
    return switch (step.getActionCase()) {
      case READ_FILE -> result.setFile(file(CONFIG)).build();
      case OPEN_STAGE -> result.setStageOpened(opened(step.getOpenStage())).build();
      case EXECUTE ->
          result
              .setExecuted(executed(step.getExecute().getPlan(), lastPid.incrementAndGet(), plans))
              .build();
      case CGROUP ->
          result
              .setCgroup(
                  CgroupContent.newBuilder()
                      .addAllFiles(
                          step.getCgroup().getReadsList().stream()
                              .map(read -> FileContent.getDefaultInstance())
                              .toList()))
              .build();
      case REMEMBER ->
          result
              .setRemembered(Remembered.newBuilder().setValue(step.getRemember().getValue()))
              .build();
      case LIST_PROCESSES ->
          result
              .setProcesses(ProcessList.newBuilder().addPids(1001).addPids(1002).addPids(4711))
              .build();
      case RELEASE,
          ABORT,
          SIGNAL,
          RESIZE,
          CLOSE_STDIN,
          REMOVE_PROCESS,
          REMOVE_CONTAINER,
          RUN_HOOKS ->
          result.setDone(Done.getDefaultInstance()).build();
      case ACTION_NOT_SET -> throw new AssertionError("a step without an action");
    };
  }

  static FileContent file(String text) {
    return FileContent.newBuilder()
        .setContent(ByteString.copyFromUtf8(text))
        .setExists(true)
        .build();
  }

  static StepResult failure(String step, String object, int errno, String cause) {
    return StepResult.newBuilder()
        .setFailure(
            Failure.newBuilder().setStep(step).setObject(object).setErrno(errno).setCause(cause))
        .build();
  }

  private static StageOpened opened(OpenStage asked) {
    StageOpened.Builder opened = StageOpened.newBuilder().setRemembered(asked.getRemember());
    for (Source source : asked.getSourcesList()) {
      opened.addSources(
          SourceReport.newBuilder()
              .setHandle(source.getHandle())
              .setCanonicalPath(source.getPath())
              .setDevMajor(8)
              .setInode(100L + source.getHandle())
              .setMode(DIRECTORY)
              .setFsMagic(EXT4_MAGIC)
              .setFsType("ext4")
              .setMountSource("/dev/sda1")
              .setMountPoint("/")
              .setMountRoot("/")
              .setCanIdmap(true));
    }
    return opened.build();
  }

  /** What the kernel would say of a process made by the plan. */
  private static Executed executed(ByteString planBytes, int pid, List<CreatePlan> plans) {
    try {
      LaunchPlan plan = LaunchPlan.parseFrom(planBytes);
      if (plan.hasCreate()) {
        plans.add(plan.getCreate());
      }
      CreatePlan create = plans.getLast();
      Process process = plan.hasCreate() ? create.getProcess() : plan.getExec().getProcess();
      return Executed.newBuilder()
          .setPid(pid)
          .setStartTime(12345)
          .setStatus(status(process))
          .setUidMap(map(create.getUidMapsList()))
          .setGidMap(map(create.getGidMapsList()))
          .setMountOrder("detached")
          .build();
    } catch (InvalidProtocolBufferException e) {
      throw new AssertionError(e);
    }
  }

  static String status(Process process) {
    Capabilities caps = process.getCapabilities();
    return "Name:\tinit\n"
        + String.format("CapInh:\t%016x%n", caps.getInheritable())
        + String.format("CapPrm:\t%016x%n", caps.getPermitted())
        + String.format("CapEff:\t%016x%n", caps.getEffective())
        + String.format("CapBnd:\t%016x%n", caps.getBounding())
        + String.format("CapAmb:\t%016x%n", caps.getAmbient())
        + "NoNewPrivs:\t"
        + (process.getNoNewPrivileges() ? 1 : 0)
        + "\nSeccomp:\t"
        + (process.getSeccompCount() > 0 ? 2 : 0)
        + "\n";
  }

  private static String map(List<IdMap> maps) {
    return maps.stream()
        .map(map ->
            String.format("%10d %10d %10d%n", map.getContainerId(), map.getHostId(), map.getSize()))
        .collect(Collectors.joining());
  }
}
