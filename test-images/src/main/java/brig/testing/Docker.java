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
  private Command.Running daemon;

  private Docker(Containerd containerd, Path directory) {
    this.containerd = containerd;
    this.directory = directory;
    this.daemon = launch();
  }

  /** Starts one and loads the test image. */
  public static Docker start(Containerd containerd) {
    Path directory = containerd.directory().resolve("docker");
    try {
      Files.createDirectories(directory);
      // docker build knows no other runtime than the default one.
      Files.writeString(
          directory.resolve("daemon.json"),
          """
          {"runtimes": {"tested": {"runtimeType": "%s"}}, "default-runtime": "tested"}
          """
              .formatted(containerd.settings().runtime()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    Docker docker = new Docker(containerd, directory);
    docker.load("busybox");
    return docker;
  }

  /** Loads one of the images that are built here. */
  public void load(String image) {
    docker("load", "-i", containerd.settings().image(image).toString()).run().orFail();
  }

  /** Kills the daemon without a chance to say goodbye and starts it again: its containers stay. */
  public void killAndStartAgain() {
    Processes.signal((int) daemon.pid(), jnr.constants.platform.Signal.SIGKILL);
    daemon.await();
    try {
      Files.deleteIfExists(directory.resolve("pid"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    daemon = launch();
  }

  private Command.Running launch() {
    Path log = directory.resolve("log");
    List<String> line =
        List.of(
            // Its standard error goes to a file: it lives as long as the tests.
            "sh",
            "-c",
            "exec \"$@\" >> " + log + " 2>&1",
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
            "--live-restore",
            "--init-path",
            program(containerd, "docker-init"),
            "--bridge",
            "none",
            "--userland-proxy=false",
            "--iptables=false",
            "--ip6tables=false",
            "--ip-forward=false");
    Command.Running started = new Command(line).environment(containerd.environment()).start();
    Eventually.holds(
        "dockerd serves", () -> docker("version").run().exitCode() == 0, () -> read(log));
    return started;
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
