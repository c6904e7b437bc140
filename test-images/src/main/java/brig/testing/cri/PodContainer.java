package brig.testing.cri;

import brig.testing.Eventually;
import brig.testing.kernel.Proc;
import brig.testing.proto.cri.ContainerState;
import brig.testing.proto.cri.ContainerStats;
import brig.testing.proto.cri.ContainerStatsRequest;
import brig.testing.proto.cri.ContainerStatus;
import brig.testing.proto.cri.ContainerStatusRequest;
import brig.testing.proto.cri.ContainerStatusResponse;
import brig.testing.proto.cri.ExecSyncRequest;
import brig.testing.proto.cri.ExecSyncResponse;
import brig.testing.proto.cri.LinuxContainerResources;
import brig.testing.proto.cri.RemoveContainerRequest;
import brig.testing.proto.cri.StartContainerRequest;
import brig.testing.proto.cri.StopContainerRequest;
import brig.testing.proto.cri.UpdateContainerResourcesRequest;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/** A container of a pod. */
public final class PodContainer {

  /** How a command ended that was run in a container. */
  public record Ran(int status, String stdout, String stderr) {}

  /** One line of a log: when, of which stream, whether the line ends here. */
  public record LogLine(String stream, boolean whole, String text) {}

  private final Pod pod;
  private final String id;
  private final Path log;

  PodContainer(Pod pod, String id, Path log) {
    this.pod = pod;
    this.id = id;
    this.log = log;
  }

  public String id() {
    return id;
  }

  public PodContainer start() {
    pod.client()
        .runtime()
        .startContainer(StartContainerRequest.newBuilder().setContainerId(id).build());
    return this;
  }

  /** TERM first, then KILL after so many seconds; returns once it has ended. */
  public void stop(long graceSeconds) {
    pod.client()
        .runtime()
        .stopContainer(
            StopContainerRequest.newBuilder().setContainerId(id).setTimeout(graceSeconds).build());
  }

  public void remove() {
    pod.client()
        .runtime()
        .removeContainer(RemoveContainerRequest.newBuilder().setContainerId(id).build());
  }

  private ContainerStatusResponse answer(boolean verbose) {
    return pod.client()
        .runtime()
        .containerStatus(
            ContainerStatusRequest.newBuilder().setContainerId(id).setVerbose(verbose).build());
  }

  public ContainerStatus status() {
    return answer(false).getStatus();
  }

  /** Its first process. */
  public Proc proc() {
    return new Proc(CriClient.json(answer(true).getInfoOrThrow("info")).path("pid").asInt());
  }

  /** Waits for its end. */
  public ContainerStatus ended() {
    Eventually.holds(
        "the container ends",
        () -> status().getState() == ContainerState.CONTAINER_EXITED,
        this::status);
    return status();
  }

  public Ran exec(String... command) {
    return exec(0, command);
  }

  /** Ended by CRI after so many seconds, 0 for never. */
  public Ran exec(long timeoutSeconds, String... command) {
    ExecSyncResponse answer =
        pod.client()
            .runtime()
            .execSync(
                ExecSyncRequest.newBuilder()
                    .setContainerId(id)
                    .addAllCmd(List.of(command))
                    .setTimeout(timeoutSeconds)
                    .build());
    return new Ran(
        answer.getExitCode(), answer.getStdout().toStringUtf8(), answer.getStderr().toStringUtf8());
  }

  /** What a shell in it writes to stdout; the shell must succeed. */
  public String sh(String script) {
    Ran ran = exec("sh", "-c", script);
    if (ran.status() != 0) {
      throw new AssertionError(script + ": " + ran);
    }
    return ran.stdout().trim();
  }

  public ContainerStats stats() {
    return pod.client()
        .runtime()
        .containerStats(ContainerStatsRequest.newBuilder().setContainerId(id).build())
        .getStats();
  }

  public void update(LinuxContainerResources resources) {
    pod.client()
        .runtime()
        .updateContainerResources(
            UpdateContainerResourcesRequest.newBuilder()
                .setContainerId(id)
                .setLinux(resources)
                .build());
  }

  /** Its log so far, as {@code kubectl logs} would read it. */
  public List<LogLine> log() {
    try {
      return Files.readAllLines(log).stream().map(PodContainer::logLine).toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static LogLine logLine(String line) {
    String[] fields = line.split(" ", 4);
    return new LogLine(fields[1], fields[2].equals("F"), fields[3]);
  }

  /** Waits until a whole line of its log has this text. */
  public void awaitLog(String text) {
    Eventually.holds(
        "the log says " + text,
        () -> log().stream().anyMatch(line -> line.text().equals(text)),
        this::log);
  }
}
