package brig.sandbox.systemd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import brig.sandbox.dbus.FakePeer;
import brig.sandbox.dbus.FakePeer.Answer;
import brig.sandbox.dbus.FakePeer.Call;
import brig.sandbox.dbus.Variant;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The conversation with systemd, with a peer in its place that can also be what systemd rarely is.
 */
final class ScopesTest {
  private static final String MANAGER = "org.freedesktop.systemd1.Manager";
  private static final String EXISTS = "org.freedesktop.systemd1.UnitExists";
  private static final String NO_UNIT = "org.freedesktop.systemd1.NoSuchUnit";
  private static final ScopeName NAME = new ScopeName("it-a.scope", "system.slice");
  private static final Answer.Return DONE = new Answer.Return("", List.of());

  @TempDir Path directory = Path.of("");

  private static Answer.Return job(String path) {
    return new Answer.Return("o", List.of(path));
  }

  private static Answer.Signal removed(String job, String result) {
    return new Answer.Signal(MANAGER, "JobRemoved", "uoss", List.of(1L, job, NAME.unit(), result));
  }

  private static Answer.Return owner(String owner) {
    return new Answer.Return("v", List.of(Variant.string(owner)));
  }

  private interface Conversation {
    void run(Scopes scopes) throws BrigException;
  }

  /** Has it with a systemd that follows the script; answers which methods were called. */
  private List<Call> with(Function<Call, List<Answer>> script, Conversation conversation)
      throws IOException, BrigException {
    Path socket = directory.resolve("systemd");
    try (FakePeer systemd = new FakePeer(socket, script)) {
      conversation.run(new Scopes(directory.resolve("no-bus"), socket, Duration.ofMillis(500)));
      return systemd.calls();
    }
  }

  private void start(Scopes scopes) throws BrigException {
    scopes.start(NAME, "me", 42, List.of(new UnitProperty("MemoryMax", Variant.uint64(1 << 20))));
  }

  private static BrigException refusal(ThrowingCallable call) {
    BrigException[] thrown = new BrigException[1];
    assertThatThrownBy(call).isInstanceOfSatisfying(BrigException.class, e -> thrown[0] = e);
    return thrown[0];
  }

  @Test
  void aScopeIsMadeAroundItsFirstProcessAndAwaited() throws IOException, BrigException {
    // Another's job ends first; ours is told before the call is answered.
    List<Call> calls =
        with(
            call -> List.of(removed("/job/1", "failed"), removed("/job/2", "done"), job("/job/2")),
            this::start);
    assertThat(calls).hasSize(1);
    assertThat(calls.getFirst().member()).isEqualTo("StartTransientUnit");
    assertThat(calls.getFirst().body().subList(0, 2)).containsExactly("it-a.scope", "fail");
    assertThat((List<?>) calls.getFirst().body().get(2))
        .asList()
        .contains(
            List.of("Description", Variant.string("me")),
            List.of("Slice", Variant.string("system.slice")),
            List.of("PIDs", new Variant("au", List.of(42L))),
            List.of("Delegate", Variant.bool(true)),
            List.of("CollectMode", Variant.string("inactive-or-failed")),
            List.of("MemoryMax", Variant.uint64(1 << 20)));
  }

  @Test
  void aJobThatFailsIsToldAndForgotten() throws IOException {
    BrigException refusal =
        refusal(() ->
            with(
                call ->
                    call.member().equals("StartTransientUnit")
                        ? List.of(job("/job/2"), removed("/job/2", "failed"))
                        : List.of(new Answer.Error(NO_UNIT)),
                this::start));
    assertThat(refusal.getMessage())
        .contains("start scope: it-a.scope: systemd's job ended as failed");
  }

  /** A systemd that has the scope already, made by this owner, with this job under way. */
  private static Function<Call, List<Answer>> having(long job, Answer... meanwhile) {
    Variant pending = new Variant("(uo)", List.of(job, job == 0 ? "/" : "/job/" + job));
    return call ->
        switch (call.member()) {
          case "StartTransientUnit" -> List.of(new Answer.Error(EXISTS));
          case "GetUnit" -> List.of(job("/unit/a"));
          case "Get" -> {
            List<Answer> answers = new ArrayList<>();
            if (call.body().get(1).equals("Job")) {
              answers.add(new Answer.Return("v", List.of(pending)));
              answers.addAll(List.of(meanwhile));
            } else {
              answers.add(owner("me"));
            }
            yield answers;
          }
          default -> List.of(new Answer.Error(NO_UNIT));
        };
  }

  @Test
  void aScopeThatAnEarlierRunHasMadeIsTaken() throws IOException, BrigException {
    assertThat(with(having(0), this::start).stream().map(Call::member))
        .containsExactly("StartTransientUnit", "GetUnit", "Get", "Get");
  }

  @Test
  void aScopeThatAnEarlierRunHasBegunIsAwaited() throws IOException, BrigException {
    assertThat(with(having(7, removed("/job/7", "done")), this::start)).hasSize(4);
  }

  @Test
  void aScopeThatAnEarlierRunHasBegunIsNotTakenBeforeItIsThere() {
    assertThat(refusal(() -> with(having(7), this::start)).kind())
        .isEqualTo(Kind.DEADLINE_EXCEEDED);
  }

  @Test
  void aScopeThatAnEarlierRunHasBegunMayFail() {
    assertThat(refusal(() -> with(having(7, removed("/job/7", "failed")), this::start)))
        .hasMessageContaining("systemd's job ended as failed");
  }

  @Test
  void aScopeThatHasFailedIsForgottenAndMadeAnew() throws IOException, BrigException {
    int[] starts = new int[1];
    List<Call> calls =
        with(
            call ->
                switch (call.member()) {
                  case "StartTransientUnit" -> {
                    starts[0]++;
                    yield starts[0] == 1
                        ? List.of(new Answer.Error(EXISTS))
                        : List.of(job("/job/3"), removed("/job/3", "done"));
                  }
                  case "GetUnit" -> List.of(job("/unit/a"));
                  case "Get" -> List.of(owner("somebody else"));
                  default -> List.of(DONE);
                },
            this::start);
    assertThat(calls.stream().map(Call::member))
        .containsExactly(
            "StartTransientUnit", "GetUnit", "Get", "ResetFailedUnit", "StartTransientUnit");
  }

  @Test
  void anotherOwnersScopeIsRefused() {
    BrigException refusal =
        refusal(() ->
            with(
                call ->
                    switch (call.member()) {
                      case "StartTransientUnit" -> List.of(new Answer.Error(EXISTS));
                      case "GetUnit" -> List.of(job("/unit/a"));
                      case "Get" -> List.of(owner("somebody else"));
                      default -> List.of(DONE);
                    },
                this::start));
    assertThat(refusal.kind()).isEqualTo(Kind.ALREADY_EXISTS);
    assertThat(refusal.getMessage()).contains("it-a.scope");
  }

  @Test
  void aSystemdThatHangsIsNotWaitedForWithoutEnd() {
    BrigException refusal = refusal(() -> with(call -> List.of(job("/job/2")), this::start));
    assertThat(refusal.kind()).isEqualTo(Kind.DEADLINE_EXCEEDED);
    assertThat(refusal.getMessage())
        .startsWith("start scope: it-a.scope: systemd gave no answer")
        .contains("JobRemoved", "list-jobs");
  }

  @Test
  void aSystemdThatGoesIsTold() {
    BrigException refusal = refusal(() -> with(call -> List.of(new Answer.Hangup()), this::start));
    assertThat(refusal.kind()).isEqualTo(Kind.FAILED_PRECONDITION);
    assertThat(refusal.getMessage()).contains("can't be spoken to");
  }

  @Test
  void noSystemdIsToldWithTheWayOut() {
    Scopes scopes =
        new Scopes(directory.resolve("a"), directory.resolve("b"), Duration.ofSeconds(5));
    assertThat(refusal(() -> start(scopes)).getMessage())
        .contains("start scope: it-a.scope", "/a:", "cgroupfs");
  }

  @Test
  void aScopeIsEndedAndAwaited() throws IOException, BrigException {
    List<Call> calls =
        with(
            call ->
                switch (call.member()) {
                  case "GetUnit" -> List.of(job("/unit/a"));
                  case "Get" -> List.of(owner("me"));
                  case "StopUnit" -> List.of(job("/job/4"), removed("/job/4", "done"));
                  default -> List.of(new Answer.Error(NO_UNIT));
                },
            scopes -> scopes.stop("it-a.scope", "me"));
    assertThat(calls.stream().map(Call::member))
        .containsExactly("GetUnit", "Get", "StopUnit", "ResetFailedUnit");
  }

  @Test
  void aScopeThatHasEndedByItselfIsFine() throws IOException, BrigException {
    List<Call> calls =
        with(call -> List.of(new Answer.Error(NO_UNIT)), scopes -> scopes.stop("it-a.scope", "me"));
    assertThat(calls.stream().map(Call::member)).containsExactly("GetUnit");
  }

  @Test
  void aScopeThatSomebodyElseHasGotSinceIsLeftAlone() throws IOException, BrigException {
    List<Call> calls =
        with(
            call ->
                call.member().equals("GetUnit")
                    ? List.of(job("/unit/a"))
                    : List.of(owner("somebody else")),
            scopes -> scopes.stop("it-a.scope", "me"));
    assertThat(calls.stream().map(Call::member)).containsExactly("GetUnit", "Get");
  }

  @Test
  void anUpdateLastsAsLongAsTheScope() throws IOException, BrigException {
    List<Call> calls =
        with(
            call -> List.of(DONE),
            scopes ->
                scopes.update(
                    "it-a.scope", List.of(new UnitProperty("TasksMax", Variant.uint64(5)))));
    assertThat(calls.getFirst())
        .isEqualTo(
            new Call(
                "SetUnitProperties",
                List.of("it-a.scope", true, List.of(List.of("TasksMax", Variant.uint64(5))))));
  }
}
