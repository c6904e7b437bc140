package brig.testing;

import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * A private Docker daemon over a private containerd: own data, sockets and containers, no default
 * bridge, no firewall rules. Closing it removes its containers and networks.
 */
public final class Docker implements AutoCloseable {

  private final Containerd containerd;
  private final Path directory;
  private final Command.Running daemon;

  private Docker(Containerd containerd, Path directory, Command.Running daemon) {
    this.containerd = containerd;
    this.directory = directory;
    this.daemon = daemon;
  }

  /** Starts one and loads the test image. */
  public static Docker start(Containerd containerd) {
    Path directory = containerd.directory().resolve("docker");
    Path log = directory.resolve("log");
    try {
      Files.createDirectories(directory);
      Files.writeString(directory.resolve("daemon.json"), "{}");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    List<String> line =
        List.of(
            // Its standard error goes to a file: it lives as long as the tests.
            "sh",
            "-c",
            "exec \"$@\" > " + log + " 2>&1",
            "sh",
            program(containerd, "dockerd"),
            "--config-file",
            directory + "/daemon.json",
            "--containerd",
            containerd.address().toString(),
            "--data-root",
            directory + "/data",
            "--exec-root",
            directory + "/exec",
            "--pidfile",
            directory + "/pid",
            "--host",
            "unix://" + directory + "/sock",
            "--storage-driver",
            "overlay2",
            "--exec-opt",
            "native.cgroupdriver=cgroupfs",
            "--bridge",
            "none",
            "--userland-proxy=false",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false");
    Docker docker =
        new Docker(
            containerd, directory, new Command(line).environment(containerd.environment()).start());
    Eventually.holds(
        "dockerd serves", () -> docker.docker("version").run().exitCode() == 0, () -> read(log));
    docker.docker("load", "-i", containerd.settings().image("busybox").toString()).run().orFail();
    return docker;
  }

  private static String program(Containerd containerd, String name) {
    Path program = containerd.settings().home().resolve("build/docker/bin").resolve(name);
    if (!Files.isExecutable(program)) {
      throw new IllegalStateException(program + " is missing: run test-images/fetch-docker");
    }
    return program.toString();
  }

  private static String read(Path file) {
    try {
      return Files.readString(file);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public Containerd containerd() {
    return containerd;
  }

  /** The {@code docker} command. */
  public Command docker(String... arguments) {
    List<String> line = new ArrayList<>();
    line.add(program(containerd, "docker"));
    line.add("--host");
    line.add("unix://" + directory + "/sock");
    line.addAll(List.of(arguments));
    return new Command(line).environment(java.util.Map.of("DOCKER_CONFIG", directory.toString()));
  }

  /** The same, which must succeed; what it says. */
  public String say(String... arguments) {
    return docker(arguments).run().orFail().stdout().trim();
  }

  /** {@code docker run} under the runtime under test. */
  public Command run(String... arguments) {
    List<String> line = new ArrayList<>(List.of("run", "--runtime"));
    line.add(containerd.settings().runtime());
    line.addAll(List.of(arguments));
    return docker(line.toArray(String[]::new));
  }

  /** Starts a container in the background; its id. */
  public String start(String... arguments) {
    List<String> line = new ArrayList<>(List.of("--detach"));
    line.addAll(List.of(arguments));
    return run(line.toArray(String[]::new)).run().orFail().stdout().trim();
  }

  /** A container's first process. */
  public int pid(String container) {
    return Integer.parseInt(say("inspect", "--format", "{{.State.Pid}}", container));
  }

  @Override
  public void close() {
    for (String container : say("ps", "--all", "--quiet").lines().toList()) {
      docker("rm", "--force", "--volumes", container).run();
    }
    docker("network", "prune", "--force").run();
    int pid = (int) daemon.pid();
    Processes.signal(pid, jnr.constants.platform.Signal.SIGTERM);
    daemon.await();
    Mounts.unmountBeneath(directory);
  }
}
