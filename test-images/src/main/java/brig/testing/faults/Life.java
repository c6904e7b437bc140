package brig.testing.faults;

import brig.testing.Names;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.spec.OciSpec;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;

/** One container's life, drawn at random, with everything that a client may expect of it. */
final class Life {

  private static final int MOST_OUTPUT = 300_000;

  private enum Kind {
    /** Writes to both streams and ends by itself. */
    RUNS,
    /** Sleeps, has a process exec'd that writes and ends, and is killed. */
    IS_EXECED,
    /** Sleeps and is killed. */
    IS_KILLED
  }

  private final Kind kind;
  private final int stdout;
  private final int stderr;
  private final int status;

  private Life(Kind kind, int stdout, int stderr, int status) {
    this.kind = kind;
    this.stdout = stdout;
    this.stderr = stderr;
    this.status = status;
  }

  static Life draw(RandomGenerator random) {
    Kind kind =
        switch (random.nextInt(4)) {
          case 0 -> Kind.IS_EXECED;
          case 1 -> Kind.IS_KILLED;
          default -> Kind.RUNS;
        };
    return new Life(
        kind, random.nextInt(MOST_OUTPUT), random.nextInt(MOST_OUTPUT), random.nextInt(256));
  }

  /** Lives it, and tells the ledger whatever differs from what was promised. */
  void live(ContainerdClient client, Events events, Ledger ledger) {
    String id = Names.fresh("life");
    try (TestContainer container = client.container(id, specification())) {
      List<String> expected = new ArrayList<>();
      switch (kind) {
        case RUNS -> run(container, expected, ledger);
        case IS_EXECED -> exec(container, expected, ledger);
        case IS_KILLED -> kill(container, expected, ledger);
      }
      List<String> told = events.until(id, "/tasks/delete").stream().map(Object::toString).toList();
      ledger.expect(this + ": events", expected, told);
    } catch (RuntimeException | AssertionError e) {
      ledger.problem(this + " (" + id + "): " + e);
    }
  }

  private OciSpec specification() {
    return kind == Kind.RUNS ? OciSpec.running(command()) : OciSpec.running("sleep", "600");
  }

  private String[] command() {
    String script = "brig-probe fill %d; brig-probe fill %d >&2; exit %d";
    return new String[] {"sh", "-c", script.formatted(stdout, stderr, status)};
  }

  private void run(TestContainer container, List<String> expected, Ledger ledger) {
    Stdio stdio = Stdio.captured();
    TestProcess init = start(container, stdio, ledger);
    check("exit", init.await(), status, ledger);
    checkOutput(stdio, ledger);
    check("deletion", timed("Delete", ledger, container::delete), status, ledger);
    expected.addAll(List.of("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"));
  }

  private void exec(TestContainer container, List<String> expected, Ledger ledger) {
    TestProcess init = start(container, Stdio.none(), ledger);
    Stdio stdio = Stdio.captured();
    var process = container.spec().execProcess(command());
    TestProcess exec = timed("Exec", ledger, () -> container.exec("inside", process, stdio));
    timed("Start of an exec", ledger, exec::start);
    check("exit of the exec", exec.await(), status, ledger);
    checkOutput(stdio, ledger);
    check("deletion of the exec", timed("Delete of an exec", ledger, exec::delete), status, ledger);
    end(container, init, ledger);
    expected.addAll(
        List.of(
            "/tasks/create",
            "/tasks/start",
            "/tasks/exec-added inside",
            "/tasks/exec-started inside",
            "/tasks/exit inside",
            "/tasks/exit",
            "/tasks/delete"));
  }

  private void kill(TestContainer container, List<String> expected, Ledger ledger) {
    end(container, start(container, Stdio.none(), ledger), ledger);
    expected.addAll(List.of("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete"));
  }

  private static TestProcess start(TestContainer container, Stdio stdio, Ledger ledger) {
    TestProcess init = timed("Create", ledger, () -> container.create(stdio));
    timed("Start", ledger, init::start);
    return init;
  }

  private void end(TestContainer container, TestProcess init, Ledger ledger) {
    var exit = init.exitAhead();
    timed(
        "Kill",
        ledger,
        () -> {
          init.signal(9);
          return init;
        });
    check("exit after the kill", TestProcess.await(exit), 137, ledger);
    check("deletion", timed("Delete", ledger, container::delete), 137, ledger);
  }

  private void check(String what, Exit exit, int wanted, Ledger ledger) {
    ledger.expect(this + ": " + what, wanted, exit.status());
  }

  private void checkOutput(Stdio stdio, Ledger ledger) {
    Sequence.check(this + ": stdout", stdio.stdoutBytes(), stdout, ledger);
    Sequence.check(this + ": stderr", stdio.stderrBytes(), stderr, ledger);
  }

  private static <T> T timed(String call, Ledger ledger, Supplier<T> action) {
    long begin = System.nanoTime();
    try {
      return action.get();
    } finally {
      ledger.call(call, begin, System.nanoTime());
    }
  }

  @Override
  public String toString() {
    return "%s, %d and %d bytes, exit %d".formatted(kind, stdout, stderr, status);
  }
}
