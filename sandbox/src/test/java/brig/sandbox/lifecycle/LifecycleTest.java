package brig.sandbox.lifecycle;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.lifecycle.Lifecycle.State;
import java.time.Instant;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;

final class LifecycleTest {
  private static final Exit EXIT = new Exit(137, Instant.EPOCH);
  private static final Exit LATER = new Exit(0, Instant.EPOCH.plusSeconds(1));

  private final Lifecycle created = Lifecycle.created("c", 42);

  private static void refused(Kind kind, String words, ThrowingCallable call) {
    assertThatThrownBy(call)
        .isInstanceOfSatisfying(BrigException.class, e -> assertThat(e.kind()).isEqualTo(kind))
        .hasMessageContaining(words);
  }

  @Test
  void anOrdinaryLife() throws BrigException {
    Lifecycle stopped = created.start().pause().resume().exited(EXIT);
    assertThat(stopped.state()).isEqualTo(State.STOPPED);
    assertThat(stopped.exit()).contains(EXIT);
    assertThat(stopped.pid()).isEqualTo(42);
    assertThat(stopped.delete().state()).isEqualTo(State.DELETED);
  }

  @Test
  void theWordsThatClientsLookFor() throws BrigException {
    Lifecycle running = created.start();
    Lifecycle stopped = running.exited(EXIT);
    Lifecycle deleted = stopped.delete();
    refused(Kind.UNKNOWN, "cannot start a running process", running::start);
    refused(Kind.UNKNOWN, "cannot delete a running process", running::delete);
    refused(Kind.NOT_FOUND, "process already finished", () -> stopped.checkKill(""));
    refused(Kind.UNKNOWN, "cannot exec in a stopped state", () -> stopped.addExec("e"));
    refused(Kind.UNKNOWN, "cannot exec in a paused state", () -> running.pause().addExec("e"));
    refused(Kind.UNKNOWN, "cannot pause", stopped::pause);
    refused(Kind.UNKNOWN, "cannot resume", running::resume);
    refused(Kind.UNKNOWN, "cannot update a stopped container", stopped::checkUpdate);
    refused(Kind.NOT_FOUND, "container not found", stopped::checkStats);
    refused(Kind.NOT_FOUND, "container not found", deleted::delete);
    refused(Kind.NOT_FOUND, "container not found", () -> deleted.checkKill(""));
    refused(Kind.NOT_FOUND, "not found", () -> running.checkKill("nobody"));
  }

  @Test
  void anExecsLife() throws BrigException {
    Lifecycle running = created.start().addExec("e");
    refused(Kind.ALREADY_EXISTS, "in use already", () -> running.addExec("e"));
    refused(Kind.FAILED_PRECONDITION, "process not created", () -> running.checkKill("e"));
    Lifecycle started = running.startExec("e", 43);
    refused(Kind.UNKNOWN, "cannot start a running process", () -> started.startExec("e", 44));
    refused(Kind.UNKNOWN, "cannot delete a running process", () -> started.deleteExec("e"));
    started.checkKill("e");
    Lifecycle ended = started.execExited("e", EXIT);
    refused(Kind.NOT_FOUND, "process already finished", () -> ended.checkKill("e"));
    refused(Kind.UNKNOWN, "cannot resize", () -> ended.checkResize("e"));
    assertThat(ended.execExited("e", LATER).exec("state", "e").exit()).contains(EXIT);
    assertThat(ended.deleteExec("e").execs()).isEmpty();
    assertThat(ended.deleteExec("e").addExec("e").execs()).containsKey("e");
  }

  @Test
  void anExecMayBeRegisteredBeforeTheStartButNotStartedAfterTheEnd() throws BrigException {
    Lifecycle added = created.addExec("e");
    assertThat(added.startExec("e", 43).exec("state", "e").pid()).isEqualTo(43);
    refused(
        Kind.FAILED_PRECONDITION,
        "init has ended",
        () -> added.start().exited(EXIT).startExec("e", 43));
    assertThat(added.deleteExec("e").execs()).isEmpty();
  }

  @Test
  void aCreatedContainerMayBeKilledAndDeleted() throws BrigException {
    created.checkKill("");
    assertThat(created.exited(EXIT).state()).isEqualTo(State.STOPPED);
    assertThat(created.delete().exited(EXIT).state()).isEqualTo(State.DELETED);
  }

  /** One thing that may happen. */
  private interface Event {
    Lifecycle apply(Lifecycle before) throws BrigException;
  }

  private record Named(String name, Event event) {
    @Override
    public String toString() {
      return name;
    }
  }

  @Property
  void terminalStatesAbsorbAndRefusalsChangeNothing(@ForAll("events") List<Named> events) {
    Lifecycle now = Lifecycle.created("c", 42);
    for (Named next : events) {
      Lifecycle before = now;
      try {
        now = next.event().apply(before);
      } catch (BrigException e) {
        assertThat(now).isEqualTo(before);
      }
      assertThat(now.pid()).isEqualTo(42);
      assertThat(allowed(before.state(), now.state())).as("%s on %s", next, before).isTrue();
      if (before.exit().isPresent()) {
        assertThat(now.exit()).isEqualTo(before.exit());
      }
      if (now.state() == State.STOPPED) {
        assertThat(now.exit()).isPresent();
      }
      now.execs()
          .forEach((id, exec) -> {
            assertThat(exec.state() == ExecProcess.State.STOPPED)
                .isEqualTo(exec.exit().isPresent());
            if (exec.state() == ExecProcess.State.RUNNING) {
              assertThat(exec.pid()).isPositive();
            }
          });
    }
  }

  private static boolean allowed(State before, State after) {
    if (before == after) {
      return true;
    }
    return switch (before) {
      case CREATED -> after == State.RUNNING || after == State.STOPPED || after == State.DELETED;
      case RUNNING -> after == State.PAUSED || after == State.STOPPED;
      case PAUSED -> after == State.RUNNING || after == State.STOPPED;
      case STOPPED -> after == State.DELETED;
      case DELETED -> false;
    };
  }

  @Provide
  Arbitrary<List<Named>> events() {
    Arbitrary<Named> ofContainer =
        Arbitraries.of(
            new Named("start", Lifecycle::start),
            new Named("pause", Lifecycle::pause),
            new Named("resume", Lifecycle::resume),
            new Named("exit", l -> l.exited(EXIT)),
            new Named("exit again", l -> l.exited(LATER)),
            new Named("delete", Lifecycle::delete));
    Arbitrary<Named> ofExec =
        Combinators.combine(Arbitraries.of("a", "b"), Arbitraries.of(0, 1, 2, 3, 4))
            .as((id, what) ->
                switch (what) {
                  case 0 -> new Named("add " + id, l -> l.addExec(id));
                  case 1 -> new Named("start " + id, l -> l.startExec(id, 7));
                  case 2 -> new Named("end " + id, l -> l.execExited(id, EXIT));
                  case 3 -> new Named("end again " + id, l -> l.execExited(id, LATER));
                  default -> new Named("delete " + id, l -> l.deleteExec(id));
                });
    return Arbitraries.oneOf(ofContainer, ofExec).list().ofMaxSize(40);
  }
}
