package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Eventually;
import brig.testing.client.Events;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.machine.Machine;
import brig.testing.proto.metrics.v2.Metrics;
import brig.testing.spec.OciSpec;
import com.google.protobuf.InvalidProtocolBufferException;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

/** Containers in scopes of systemd's, with {@code systemctl} as the witness. */
@OnMachine
class SystemdTest extends MachineTest {

  SystemdTest(Machine machine) {
    super(machine);
  }

  private static OciSpec sleeping() {
    return OciSpec.running("sleep", "600");
  }

  /** In {@code slice}, as {@code it-ID.scope}. */
  private TestContainer inScope(String slice, OciSpec spec) {
    String id = machine.freshId();
    return keep(client.container(id, spec.cgroupsPath(slice + ":it:" + id)));
  }

  private static String unit(TestContainer container) {
    return "it-" + container.id() + ".scope";
  }

  /** Properties by name, in the order asked, one line each. */
  private String shown(TestContainer container, String... properties) {
    StringBuilder script = new StringBuilder();
    for (String property : properties) {
      script.append("systemctl show -P ").append(property).append(' ').append(unit(container));
      script.append('\n');
    }
    return machine.read(script.toString());
  }

  private void hasNoUnit(TestContainer container) {
    assertThat(
            machine.read(
                "systemctl list-units --all --no-legend --plain '" + unit(container) + "'"))
        .isEmpty();
    assertThat(machine.read("find /sys/fs/cgroup -name '" + unit(container) + "'")).isEmpty();
  }

  @Test
  void aContainerStandsInAScopeOfItsSlice() {
    TestContainer container = inScope("machine-brigtest.slice", sleeping());
    TestProcess init = start(container);
    assertThat(cgroupOf(init))
        .isEqualTo("/machine.slice/machine-brigtest.slice/" + unit(container));
    assertThat(shown(container, "ActiveState", "Slice", "Delegate", "ControlGroup"))
        .isEqualTo("active\nmachine-brigtest.slice\nyes\n" + cgroupOf(init));
    assertThat(limits(cgroupOf(init), "cgroup.procs")).isEqualTo(Integer.toString(init.pid()));
    init.kill(9, false);
    init.await();
    container.delete();
    hasNoUnit(container);
  }

  @Test
  void limitsAreSystemdsAndTheFiles() {
    TestContainer container = inScope("", limited());
    TestProcess init = start(container);
    assertThat(cgroupOf(init)).isEqualTo("/system.slice/" + unit(container));
    assertThat(
            shown(
                container,
                "MemoryMax",
                "MemorySwapMax",
                "MemoryLow",
                "MemoryHigh",
                "TasksMax",
                "CPUWeight",
                // 24.69 %, rounded up to what systemd keeps.
                "CPUQuotaPerSecUSec",
                "CPUQuotaPeriodUSec",
                "AllowedCPUs"))
        .isEqualTo("67108864\n33554432\n33554432\n62914560\n50\n59\n250ms\n50ms\n0-1");
    isLimited(cgroupOf(init));
    // systemd looks at all of its units again, and leaves them as they are.
    machine.read("systemctl daemon-reload");
    assertThat(shown(container, "MemoryMax", "TasksMax")).isEqualTo("67108864\n50");
    isLimited(cgroupOf(init));
  }

  @Test
  void whatSystemdHasNoWordForOutlivesItsLookAtTheUnit() {
    OciSpec spec = sleeping().memoryLimit(64 * MIB);
    spec.linux()
        .putArray("devices")
        .addObject()
        .put("path", "/dev/fuse")
        .put("type", "c")
        .put("major", 10)
        .put("minor", 229)
        .put("fileMode", 0666);
    spec.resources()
        .withArray("devices")
        .addObject()
        .put("allow", true)
        .put("type", "c")
        .put("major", 10)
        .put("minor", 229)
        .put("access", "rwm");
    String[] disk = machine.read("cat /sys/block/vda/dev").split(":", -1);
    spec.resources()
        .withObject("/blockIO")
        .putArray("throttleReadBpsDevice")
        .addObject()
        .put("major", Integer.parseInt(disk[0]))
        .put("minor", Integer.parseInt(disk[1]))
        .put("rate", 100 * MIB);
    spec.resources().withObject("/unified").put("cpu.max.burst", "1000");
    TestContainer container = inScope("", spec);
    TestProcess init = start(container);
    String[] files = {"io.max", "cpu.max.burst", "memory.max", "memory.oom.group"};
    String before = limits(cgroupOf(init), files);
    assertThat(before).contains("rbps=104857600", "1000", "67108864");
    machine.read("systemctl daemon-reload");
    devicesHold(container);
    assertThat(limits(cgroupOf(init), files)).isEqualTo(before);
    machine.read(
        "systemctl set-property --runtime " + unit(container) + " TasksMax=40 CPUWeight=50");
    devicesHold(container);
    assertThat(limits(cgroupOf(init), files)).isEqualTo(before);
    assertThat(limits(cgroupOf(init), "pids.max")).isEqualTo("40");
  }

  /** FUSE is permitted, the machine's disk is not. */
  private void devicesHold(TestContainer container) {
    assertThat(exec(container, "sh", "-c", "exec 3</dev/fuse").status()).isZero();
    String pid = machine.read("systemctl show -P ControlGroup " + unit(container));
    // Host root in the scope: the rules are the cgroup's, whoever is in it.
    String script =
        "echo $BASHPID > /sys/fs/cgroup%s/cgroup.procs && exec 3</dev/vda".formatted(pid);
    assertThat(machine.run("(" + script + ")").exitCode()).isNotZero();
  }

  @Test
  void aDaemonThatDiesAfterAScopeBeganGoesOnWithIt() throws Exception {
    String id = machine.freshId();
    String script =
        "echo > /run/%1$s.at; until test -e /run/%1$s.go; do sleep 0.1; done".formatted(id);
    OciSpec spec = sleeping().hook("createRuntime", "/bin/sh", "-c", script);
    TestContainer container = keep(client.container(id, spec.cgroupsPath("system.slice:it:" + id)));
    CompletableFuture<TestProcess> starting =
        CompletableFuture.supplyAsync(() -> start(container), Thread::startVirtualThread);
    machine.read("until test -e /run/%s.at; do sleep 0.1; done".formatted(id));
    assertThat(shown(container, "ActiveState")).isEqualTo("active");
    String daemon = machine.read("pidof java");
    machine.read("kill -9 " + daemon);
    machine.read("echo > /run/%s.go".formatted(id));
    TestProcess init = starting.get(120, TimeUnit.SECONDS);
    assertThat(machine.read("pidof java")).isNotEqualTo(daemon);
    assertThat(cgroupOf(init)).endsWith("/" + unit(container));
    assertThat(limits(cgroupOf(init), "cgroup.procs")).isEqualTo(Integer.toString(init.pid()));
    machine.read("rm /run/%1$s.at /run/%1$s.go".formatted(id));
    init.kill(9, false);
    init.await();
    container.delete();
    hasNoUnit(container);
  }

  @Test
  void updateIsToldToSystemdAndWrittenExactly() {
    TestContainer container = inScope("", sleeping().memoryLimit(64 * MIB).pidsLimit(50));
    TestProcess init = start(container);
    container.update("{\"memory\":{\"limit\":33554432},\"cpu\":{\"quota\":12345}}");
    assertThat(shown(container, "MemoryMax", "TasksMax", "CPUQuotaPerSecUSec"))
        .isEqualTo("33554432\n50\n130ms");
    assertThat(limits(cgroupOf(init), "memory.max", "pids.max", "cpu.max"))
        .isEqualTo("33554432\n50\n12345 100000");
  }

  @Test
  void oneTaskIsEnoughForAContainerOfOne() {
    TestContainer container = inScope("", sleeping().pidsLimit(1));
    TestProcess init = start(container);
    assertThat(limits(cgroupOf(init), "pids.current", "pids.max")).isEqualTo("1\n1");
  }

  @Test
  void anExecStandsInTheScopeAndFreezesWithIt() {
    TestContainer container = inScope("", sleeping());
    start(container);
    TestProcess exec =
        container
            .exec(machine.freshId(), container.spec().execProcess("sleep", "500"), Stdio.none())
            .start();
    assertThat(cgroupOf(exec)).endsWith("/" + unit(container));
    container.pause();
    assertThat(limits(cgroupOf(exec), "cgroup.events")).contains("frozen 1");
    container.resume();
    assertThat(limits(cgroupOf(exec), "cgroup.events")).contains("frozen 0");
    exec.kill(9, false);
    assertThat(exec.await().status()).isEqualTo(137);
  }

  @Test
  void measurementsAreThoseOfTheScope() throws InvalidProtocolBufferException {
    TestContainer container = inScope("", sleeping().memoryLimit(64 * MIB).pidsLimit(77));
    start(container);
    Metrics metrics = Metrics.parseFrom(container.metrics().getFirst().getValue());
    assertThat(metrics.getPids().getCurrent()).isEqualTo(1);
    assertThat(metrics.getPids().getLimit()).isEqualTo(77);
    assertThat(metrics.getMemory().getUsageLimit()).isEqualTo(64 * MIB);
    assertThat(metrics.getCpu().getUsageUsec()).isPositive();
  }

  @Test
  void outOfMemoryIsToldAndLeavesNoFailedUnit() {
    Events events = keep(client.events());
    TestContainer container =
        inScope("", OciSpec.running("brig-probe", "eat", "256").memoryLimit(16 * MIB));
    TestProcess init = start(container);
    assertThat(init.await().status()).isEqualTo(137);
    List<String> topics =
        events.until(container.id(), "/tasks/exit").stream().map(Events.Event::topic).toList();
    assertThat(topics).contains("/tasks/oom").endsWith("/tasks/exit");
    container.delete();
    hasNoUnit(container);
  }

  @Test
  void aScopeThatSystemdStopsEndsItsContainer() {
    TestContainer container = inScope("", sleeping());
    TestProcess init = start(container);
    machine.read("systemctl kill --signal=KILL " + unit(container));
    assertThat(init.await().status()).isEqualTo(137);
    container.delete();
    hasNoUnit(container);
  }

  @Test
  void aUnitOfTheSameNameIsRefusedAndLeftAlone() {
    String id = machine.freshId();
    machine.read(
        "systemd-run --quiet --scope --unit=it-%s.scope sleep 600 & until systemctl is-active --quiet it-%s.scope; do :; done"
            .formatted(id, id));
    TestContainer container =
        keep(client.container(id, sleeping().cgroupsPath("system.slice:it:" + id)));
    assertThat(Refusals.words(() -> start(container)))
        .contains("start scope", unit(container), "has this unit");
    assertThat(machine.read("systemctl is-active " + unit(container))).isEqualTo("active");
    machine.read("systemctl stop " + unit(container));
  }

  @Test
  void aCreateThatFailsLeavesNoUnit() {
    TestContainer container = inScope("", OciSpec.running("/no/such/program"));
    assertThat(Refusals.words(() -> start(container))).contains("no such file");
    hasNoUnit(container);
  }

  @Test
  void aLimitThatTheKernelRefusesLeavesNoUnit() {
    OciSpec spec = sleeping();
    spec.resources().withObject("/unified").put("memory.max", "many");
    TestContainer container = inScope("", spec);
    assertThat(Refusals.words(() -> start(container))).contains("memory.max");
    hasNoUnit(container);
  }

  @Test
  void containersOutliveAReexecutionOfSystemd() {
    TestContainer container = inScope("", sleeping().memoryLimit(64 * MIB));
    TestProcess init = start(container);
    machine.read("systemctl daemon-reexec");
    Eventually.holds(
        "systemd answers",
        () -> machine.run("systemctl is-active " + unit(container)).exitCode() == 0);
    assertThat(cgroupOf(init)).endsWith("/" + unit(container));
    assertThat(limits(cgroupOf(init), "memory.max")).isEqualTo("67108864");
    init.kill(9, false);
    assertThat(init.await().status()).isEqualTo(137);
    container.delete();
    hasNoUnit(container);
  }

  @Test
  void withoutAMessageBusSystemdsOwnSocketIsTaken() {
    machine.read("systemctl stop dbus.socket dbus.service");
    try {
      TestContainer container = inScope("", sleeping());
      assertThat(cgroupOf(start(container))).endsWith("/" + unit(container));
    } finally {
      machine.run("systemctl start dbus.socket", Duration.ofSeconds(60)).orFail();
    }
  }
}
