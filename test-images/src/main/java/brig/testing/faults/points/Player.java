package brig.testing.faults.points;

import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.client.Events.Event;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import io.grpc.StatusRuntimeException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.function.Supplier;

/**
 * One pod in a scene: does what a client does, and writes down what the client, the kernel and
 * containerd's events show, in words that are the same in each run.
 */
final class Player implements AutoCloseable {

  /** Writes to both streams and ends with 7. */
  static final String[] PROGRAM = {
    "sh", "-c", "brig-probe fill 30000; brig-probe fill 20000 >&2; exit 7"
  };

  private final ContainerdClient client;
  private final Events events;
  private final String id;
  private final TestContainer container;
  private final List<String> seen = new ArrayList<>();
  private final Stdio stdio = Stdio.interactive();
  private Optional<Stdio> execStdio = Optional.empty();
  private Optional<TestProcess> init = Optional.empty();
  private Optional<TestProcess> exec = Optional.empty();

  Player(ContainerdClient client, Events events, String id, String... command) {
    this.client = client;
    this.events = events;
    this.id = id;
    this.container = client.container(id, OciSpec.running(command).memoryLimit(64 << 20));
  }

  String id() {
    return id;
  }

  ContainerdClient client() {
    return client;
  }

  TestContainer container() {
    return container;
  }

  TestProcess init() {
    return init.orElseThrow();
  }

  TestProcess exec() {
    return exec.orElseThrow();
  }

  /** The pid of init, once there is one. */
  Optional<Integer> pid() {
    return init.map(TestProcess::pid);
  }

  /** What has been written down. */
  synchronized List<String> seen() {
    return List.copyOf(seen);
  }

  synchronized void say(String line) {
    String text = line.replace(id, "ID");
    seen.add(
        init.map(process -> text.replaceAll("\\b" + process.pid() + "\\b", "PID")).orElse(text));
  }

  /** A call; its refusal is as good an answer as any. */
  void call(String name, Supplier<?> call) {
    try {
      say(name + ": " + call.get());
    } catch (StatusRuntimeException e) {
      say(name + ": " + e.getStatus().getCode() + ": " + e.getStatus().getDescription());
    } catch (UncheckedIOException e) {
      // Of one that goes to the keeper directly.
      say(name + ": " + e.getCause());
    }
  }

  /** A call that is to be refused, in whatever words. */
  void refusal(String name, Supplier<?> call) {
    try {
      say(name + ": " + call.get());
    } catch (StatusRuntimeException e) {
      say(name + ": " + e.getStatus().getCode());
    }
  }

  void call(String name, Runnable call) {
    call(
        name,
        () -> {
          call.run();
          return "done";
        });
  }

  void create() {
    call(
        "create",
        () -> {
          init = Optional.of(container.create(stdio));
          return "pid PID";
        });
  }

  void start() {
    call("start", () -> init().start().pid());
  }

  /** Created and started, with nothing to be seen yet. */
  void run() {
    create();
    start();
  }

  void addExec(boolean terminal, String... command) {
    Stdio streams = terminal ? Stdio.terminal() : Stdio.captured();
    execStdio = Optional.of(streams);
    var process = container.spec().execProcess(command).put("terminal", terminal);
    // What the call makes is known in any case, so that a repeated one is the same.
    call(
        "exec",
        () -> {
          exec = Optional.of(container.exec("inside", process, streams));
          return "added";
        });
  }

  void startExec() {
    call("start of the exec", () -> exec().start().pid() > 0 ? "a pid" : "no pid");
  }

  Stdio execStdio() {
    return execStdio.orElseThrow();
  }

  void awaitExec() {
    exit("exit of the exec", () -> exec().await());
    output("exec's stdout", execStdio().stdoutBytes());
    output("exec's stderr", execStdio().stderrBytes());
  }

  void deleteExec() {
    exit("delete of the exec", () -> exec().delete());
  }

  /** Its end, and all that it has written. */
  void await() {
    exit("exit", () -> init().await());
    output("stdout", stdio.stdoutBytes());
    output("stderr", stdio.stderrBytes());
  }

  void exit(String what, Supplier<Exit> call) {
    call(what, () -> call.get().status());
  }

  private void output(String what, byte[] bytes) {
    try {
      String digest =
          HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes), 0, 8);
      say(what + ": " + bytes.length + " bytes, " + digest);
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("the JDK has SHA-256", e);
    }
  }

  void delete() {
    exit("delete", container::delete);
  }

  /** Kills init and goes on to the end. */
  void end() {
    call("kill", () -> init().signal(9));
    await();
    delete();
  }

  /** Writes to the container's stdin; nobody else holds it afterwards. */
  void type(String text) {
    try (RandomAccessFile stdin = stdio.openStdin()) {
      stdin.write(text.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  Stdio stdio() {
    return stdio;
  }

  void status() {
    call("state", container::status);
  }

  /** What the kernel says of init. */
  void kernel() {
    int pid = init().pid();
    if (!Processes.alive(pid)) {
      say("kernel: init is not alive");
      return;
    }
    Proc proc = init().proc();
    say(
        "kernel: %s, seccomp %s, no_new_privs %s, capabilities %s"
            .formatted(
                Processes.commandLine(pid),
                proc.status("Seccomp"),
                proc.status("NoNewPrivs"),
                proc.status("CapBnd")));
    say("kernel: ids " + (proc.uidMap().getFirst().outside() > 0 ? "shifted" : "the host's"));
  }

  void group(String controller, String file) {
    say("kernel: " + file + " " + CgroupsV1.of(init().pid()).read(controller, file).strip());
  }

  /** All events of the container, the last of which is its deletion. */
  void events() {
    say("events: " + events.until(id, "/tasks/delete"));
    say("task: " + (container.hasTask() ? "still there" : "gone"));
    say("bundle: " + (container.bundle().toFile().exists() ? "still there" : "gone"));
  }

  List<Event> eventsSoFar() {
    return events.of(id);
  }

  boolean seenEvent(String topic) {
    return eventsSoFar().stream().anyMatch(event -> event.topic().equals(topic));
  }

  void awaitEvent(String topic) {
    events.until(id, topic);
  }

  /** Whatever is left goes. */
  @Override
  public void close() {
    container.close();
  }
}
