package brig.testing.faults;

import brig.testing.Names;
import brig.testing.client.ContainerdClient;
import brig.testing.client.Events;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.spec.OciSpec;
import java.util.List;
import java.util.Optional;
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

  /**
   * Lives it, and tells the ledger whatever differs from what was promised.
   *
   * @param events empty where nobody can see all of them
   */
  void live(ContainerdClient client, Optional<Events> events, Calls calls, Ledger ledger) {
    String id = Names.fresh("life");
    TestContainer container = calls.quietly(() -> client.container(id, specification()));
    try {
      List<String> expected =
          switch (kind) {
            case RUNS -> run(container, calls, ledger);
            case IS_EXECED -> exec(container, calls, ledger);
            case IS_KILLED -> kill(container, calls, ledger);
          };
      events.ifPresent(all -> {
        ledger.expect(
            this + ": events",
            expected,
            all.until(id, "/tasks/delete").stream().map(Object::toString).toList());
        all.forget(id);
      });
    } catch (RuntimeException | AssertionError e) {
      ledger.problem(this + " (" + id + "): " + e);
    } finally {
      calls.quietly(() -> {
        container.close();
        return id;
      });
    }
  }

  private OciSpec specification() {
    return kind == Kind.RUNS ? OciSpec.running(command()) : OciSpec.running("sleep", "600");
  }

  private String[] command() {
    String script = "brig-probe fill %d; brig-probe fill %d >&2; exit %d";
    return new String[] {"sh", "-c", script.formatted(stdout, stderr, status)};
  }

  private List<String> run(TestContainer container, Calls calls, Ledger ledger) {
    Stdio stdio = Stdio.captured();
    TestProcess init = start(container, stdio, calls);
    check("exit", calls.await(init), status, ledger);
    checkOutput(stdio, ledger);
    check("deletion", calls.make("Delete", container::delete), status, ledger);
    return List.of("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
  }

  private List<String> exec(TestContainer container, Calls calls, Ledger ledger) {
    TestProcess init = start(container, Stdio.none(), calls);
    Stdio stdio = Stdio.captured();
    var process = container.spec().execProcess(command());
    TestProcess exec = calls.make("Exec", () -> container.exec("inside", process, stdio));
    calls.make("Start of an exec", exec::start);
    check("exit of the exec", calls.await(exec), status, ledger);
    checkOutput(stdio, ledger);
    check("deletion of the exec", calls.make("Delete of an exec", exec::delete), status, ledger);
    end(container, init, calls, ledger);
    return List.of(
        "/tasks/create",
        "/tasks/start",
        "/tasks/exec-added inside",
        "/tasks/exec-started inside",
        "/tasks/exit inside",
        "/tasks/exit",
        "/tasks/delete");
  }

  private List<String> kill(TestContainer container, Calls calls, Ledger ledger) {
    end(container, start(container, Stdio.none(), calls), calls, ledger);
    return List.of("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
  }

  private static TestProcess start(TestContainer container, Stdio stdio, Calls calls) {
    TestProcess init = calls.make("Create", () -> container.create(stdio));
    return calls.make("Start", init::start);
  }

  private void end(TestContainer container, TestProcess init, Calls calls, Ledger ledger) {
    calls.make(
        "Kill",
        () -> {
          init.signal(9);
          return init;
        });
    check("exit after the kill", calls.await(init), 137, ledger);
    check("deletion", calls.make("Delete", container::delete), 137, ledger);
  }

  private void check(String what, Exit exit, int wanted, Ledger ledger) {
    ledger.expect(this + ": " + what, wanted, exit.status());
  }

  private void checkOutput(Stdio stdio, Ledger ledger) {
    Sequence.check(this + ": stdout", stdio.stdoutBytes(), stdout, ledger);
    Sequence.check(this + ": stderr", stdio.stderrBytes(), stderr, ledger);
  }

  @Override
  public String toString() {
    return "%s, %d and %d bytes, exit %d".formatted(kind, stdout, stderr, status);
  }
}
