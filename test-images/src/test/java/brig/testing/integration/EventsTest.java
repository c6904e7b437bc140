package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.client.Events;
import brig.testing.client.Events.Event;
import brig.testing.client.Exit;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.proto.events.TaskCreate;
import brig.testing.proto.events.TaskDelete;
import brig.testing.proto.events.TaskExit;
import brig.testing.proto.events.TaskStart;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Events: one per happening, in the order in which things happened. */
@EachContainerd
class EventsTest extends ClientTest {

  EventsTest(Containerd containerd) {
    super(containerd);
  }

  private static List<String> told(List<Event> events) {
    return events.stream().map(Event::toString).toList();
  }

  @Test
  void aContainersLifeIsToldInOrderAndOnce() {
    Events events = keep(client.events());
    TestContainer container = container("sh", "-c", "exit 12");
    TestProcess init = container.start();
    Exit exit = init.await();
    init.delete();
    List<Event> seen = events.until(container.id(), "/tasks/delete");
    assertThat(told(seen))
        .containsExactly("/tasks/create", "/tasks/start", "/tasks/exit", "/tasks/delete");
    TaskCreate create = (TaskCreate) seen.get(0).message();
    assertThat(create.getPid()).isEqualTo(init.pid());
    assertThat(create.getBundle()).isEqualTo(container.bundle().toString());
    assertThat(create.getIo().getStdout()).isEqualTo(init.stdio().stdoutPath());
    assertThat(((TaskStart) seen.get(1).message()).getPid()).isEqualTo(init.pid());
    TaskExit told = (TaskExit) seen.get(2).message();
    assertThat(told.getId()).isEqualTo(container.id());
    assertThat(told.getPid()).isEqualTo(init.pid());
    assertThat(new Exit(told.getExitStatus(), told.getExitedAt())).isEqualTo(exit);
    TaskDelete deleted = (TaskDelete) seen.get(3).message();
    assertThat(deleted.getExitStatus()).isEqualTo(12);
    assertThat(deleted.getPid()).isEqualTo(init.pid());
  }

  @Test
  void anExecsLifeIsToldInOrder() {
    Events events = keep(client.events());
    TestContainer container = sleeping();
    container.start();
    TestProcess process =
        container
            .exec("e", container.spec().execProcess("sh", "-c", "exit 4"), Stdio.captured())
            .start();
    process.await();
    process.delete();
    List<Event> seen = events.until(container.id(), event -> event.topic().equals("/tasks/exit"));
    assertThat(told(seen))
        .containsExactly(
            "/tasks/create",
            "/tasks/start",
            "/tasks/exec-added e",
            "/tasks/exec-started e",
            "/tasks/exit e");
    assertThat(((TaskExit) seen.getLast().message()).getExitStatus()).isEqualTo(4);
  }

  @Test
  void theInitsExitIsToldAfterItsExecs() {
    Events events = keep(client.events());
    TestContainer container = sleeping();
    TestProcess init = container.start();
    for (int i = 0; i < 5; i++) {
      container.exec("e" + i, container.spec().execProcess("sleep", "600"), Stdio.none()).start();
    }
    init.signal(9);
    init.await();
    List<Event> exits =
        events
            .until(
                container.id(),
                event ->
                    event.topic().equals("/tasks/exit") && event.process().equals(container.id()))
            .stream()
            .filter(event -> event.topic().equals("/tasks/exit"))
            .toList();
    assertThat(exits.stream().map(Event::process))
        .containsExactlyInAnyOrder("e0", "e1", "e2", "e3", "e4", container.id())
        .endsWith(container.id());
  }

  @Test
  void aShortLivedProcessIsToldStartFirst() {
    Events events = keep(client.events());
    TestContainer container = sleeping();
    container.start();
    List<String> expected = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      String id = "short" + i;
      container.exec(id, container.spec().execProcess("true"), Stdio.none()).start().await();
      expected.add("/tasks/exec-added " + id);
      expected.add("/tasks/exec-started " + id);
      expected.add("/tasks/exit " + id);
    }
    List<Event> seen =
        events.until(
            container.id(),
            event -> event.topic().equals("/tasks/exit") && event.process().equals("short19"));
    assertThat(told(seen.subList(2, seen.size()))).containsExactlyElementsOf(expected);
  }

  @Test
  void pauseAndResumeAreTold() {
    Events events = keep(client.events());
    TestContainer container = sleeping();
    container.start();
    container.pause();
    container.resume();
    assertThat(told(events.until(container.id(), "/tasks/resumed")))
        .containsExactly("/tasks/create", "/tasks/start", "/tasks/paused", "/tasks/resumed");
  }

  @Test
  void aFailedCreateIsNotTold() {
    Events events = keep(client.events());
    TestContainer failing = container("/no/such/program");
    Refusals.of(failing::create);
    TestContainer container = container("true");
    container.start().await();
    events.until(container.id(), "/tasks/exit");
    assertThat(events.of(failing.id()).stream().map(Event::topic))
        .doesNotContain("/tasks/create", "/tasks/start", "/tasks/exit");
  }
}
