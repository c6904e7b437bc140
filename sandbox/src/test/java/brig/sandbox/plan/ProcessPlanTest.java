package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.proto.keeper.HostFacts;
import brig.proto.plan.Hook;
import brig.proto.plan.LaunchPlan;
import brig.proto.plan.Process;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.ClassConfig;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.SpecParser;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import org.junit.jupiter.api.Test;

final class ProcessPlanTest {
  private static final String FULL =
      """
      "terminal": false, "consoleSize": {"height": 24, "width": 80},
      "user": {"uid": 1000, "gid": 100, "umask": 63, "additionalGids": [5]},
      "args": ["sh"], "env": ["A=b"], "cwd": "/work",
      "capabilities": {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"],
                       "effective": ["CAP_KILL"], "inheritable": ["CAP_KILL"],
                       "ambient": ["CAP_KILL"]},
      "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": 18446744073709551615}],
      "oomScoreAdj": 5, "scheduler": {"policy": "SCHED_BATCH", "nice": 3,
                                      "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
      "ioPriority": {"class": "IOPRIO_CLASS_IDLE", "priority": 0},
      "execCPUAffinity": {"initial": "0", "final": "0,8"}\
      """;

  private static String spec(String process, String linux, String rest) {
    return """
    {"ociVersion": "1.2.0", "root": {"path": "rootfs"}, "process": {%s},
     "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]%s}%s}
    """
        .formatted(process, linux, rest);
  }

  private static LaunchPlan plan(HostFacts.Builder host, String json) throws BrigException {
    return Fixture.plan(host, Fixture.input(Fixture.spec(json))).plan();
  }

  private static LaunchPlan plan(String json) throws BrigException {
    return plan(Fixture.hostV1(), json);
  }

  private static final String SMALL = "\"args\": [\"sh\"], \"cwd\": \"/\"";

  @Test
  void everythingOfAProcessIsPlanned() throws BrigException {
    Process process = plan(spec(FULL, "", "")).getCreate().getProcess();
    assertThat(process.getUid()).isEqualTo(1000);
    assertThat(process.getGid()).isEqualTo(100);
    assertThat(process.getAdditionalGidsList()).containsExactly(5);
    assertThat(process.getUmask()).isEqualTo(077);
    assertThat(process.getCwd()).isEqualTo("/work");
    assertThat(process.getCapabilities().getBounding()).isEqualTo(1L | 1L << 5);
    assertThat(process.getCapabilities().getAmbient()).isEqualTo(1L << 5);
    assertThat(process.getRlimits(0).getResource()).isEqualTo(7);
    assertThat(process.getRlimits(0).getHard()).isEqualTo(-1);
    assertThat(process.getOomScoreAdj()).isEqualTo(5);
    assertThat(process.getScheduler().getPolicy()).isEqualTo(3);
    assertThat(process.getScheduler().getNice()).isEqualTo(3);
    assertThat(process.getScheduler().getFlags()).isEqualTo(1);
    assertThat(process.getIoPriority().getClass_()).isEqualTo(3);
    assertThat(process.getCpuAffinityFinal().toByteArray()).containsExactly(1, 1);
    assertThat(process.getConsoleWidth()).isEqualTo(80);
    assertThat(process.getNoNewPrivileges()).isTrue();
    assertThat(process.getHomeFromPasswd()).isTrue();
  }

  @Test
  void aClassMayLeaveNewPrivilegesToTheSpecForExecsToo() throws BrigException {
    SandboxConfig config =
        SandboxConfig.DEFAULT.with(
            Map.of("brig", ClassConfig.DEFAULT.withNewPrivileges(NewPrivileges.ASKED)));
    for (boolean no : new boolean[] {true, false}) {
      String asked = SMALL + ", \"noNewPrivileges\": " + no;
      LaunchPlan container =
          Fixture.plan(
                  Fixture.hostV1(),
                  config,
                  Fixture.input(Fixture.spec(spec(asked, "", ""))),
                  (source, report) -> {})
              .plan();
      assertThat(container.getCreate().getProcess().getNoNewPrivileges()).isEqualTo(no);
      assertThat(container.getCreate().getProcess().getSeccompList()).isNotEmpty();
      assertThat(exec(container, SMALL).plan().getExec().getProcess().getNoNewPrivileges())
          .isEqualTo(no);
    }
  }

  @Test
  void homeIsLeftAloneWhereTheSpecHasIt() throws BrigException {
    Process process =
        plan(spec(SMALL + ", \"env\": [\"HOME=/h\"]", "", "")).getCreate().getProcess();
    assertThat(process.getHomeFromPasswd()).isFalse();
    assertThat(process.getUmask()).isEqualTo(022);
  }

  @Test
  void memoryPolicyAndPersonalityAreNumbers() throws BrigException {
    Process process =
        plan(spec(
                SMALL,
                """
                , "memoryPolicy": {"mode": "MPOL_INTERLEAVE", "nodes": "0,2",
                                   "flags": ["MPOL_F_STATIC_NODES"]},
                  "personality": {"domain": "LINUX32"}\
                """,
                ""))
            .getCreate()
            .getProcess();
    assertThat(process.getMemoryPolicy().getMode()).isEqualTo(3 | 0x8000);
    assertThat(process.getMemoryPolicy().getNodes().toByteArray()).containsExactly(5);
    assertThat(process.getPersonality()).isEqualTo(8);
  }

  @Test
  void labelsNeedTheModuleThatEnforcesThem() throws BrigException {
    String json =
        spec(
            SMALL + ", \"apparmorProfile\": \"p\", \"selinuxLabel\": \"l\"",
            ", \"mountLabel\": \"m\"",
            "");
    assertThatThrownBy(() -> plan(json))
        .hasMessageContaining("process.apparmorProfile: \"p\" can't be enforced");
    assertThatThrownBy(() -> plan(Fixture.hostV1().setApparmor(true), json))
        .hasMessageContaining("process.selinuxLabel");
    Process process =
        plan(Fixture.hostV1().setApparmor(true).setSelinux(true), json).getCreate().getProcess();
    assertThat(process.getApparmorProfile()).isEqualTo("p");
    assertThat(process.getSelinuxLabel()).isEqualTo("l");
    assertThat(process.getSelinuxMountLabel()).isEqualTo("m");
    assertThat(
            plan(spec(SMALL + ", \"apparmorProfile\": \"unconfined\"", "", ""))
                .getCreate()
                .getProcess()
                .getApparmorProfile())
        .isEmpty();
  }

  @Test
  void capabilitySetsThatTheKernelWouldRefuseAreNamed() {
    for (String[] sets :
        new String[][] {
          {"\"effective\": [\"CAP_KILL\"]", "effective has CAP_KILL, which permitted has not"},
          {"\"inheritable\": [\"CAP_KILL\"]", "inheritable has CAP_KILL, which bounding has not"},
          {"\"ambient\": [\"CAP_KILL\"]", "ambient has CAP_KILL, which permitted has not"}
        }) {
      assertThatThrownBy(() -> plan(spec(SMALL + ", \"capabilities\": {" + sets[0] + "}", "", "")))
          .hasMessageContaining(sets[1].substring(sets[1].indexOf(' ') + 1));
    }
  }

  @Test
  void aCapabilityThatTheKernelLacksIsSaid() throws BrigException {
    PlannedContainer planned =
        Fixture.plan(
            Fixture.hostV1().setLastCapability(38),
            Fixture.input(
                Fixture.spec(
                    spec(SMALL + ", \"capabilities\": {\"bounding\": [\"CAP_BPF\"]}", "", ""))));
    assertThat(planned.plan().getCreate().getProcess().getCapabilities().getBounding()).isZero();
    assertThat(planned.notes()).contains("capabilities: this kernel has no CAP_BPF");
  }

  @Test
  void theRequestsWordAboutTheTerminalWins() throws BrigException {
    CreateInput in = Fixture.input(Fixture.spec(spec(SMALL + ", \"terminal\": true", "", "")));
    assertThat(Fixture.plan(in).plan().getCreate().getProcess().getTerminal()).isFalse();
  }

  @Test
  void hooksAreOpenedWhereTheyRunAtCreationOnTheHost() throws BrigException {
    String hook = "[{\"path\": \"/h\", \"args\": [\"h\"], \"env\": [\"A=b\"], \"timeout\": 3}]";
    PlannedContainer planned =
        Fixture.plan(
            Fixture.input(
                Fixture.spec(
                    spec(
                        SMALL,
                        "",
                        """
                        , "hooks": {"prestart": %1$s, "createRuntime": %1$s, "createContainer": %1$s,
                          "startContainer": %1$s, "poststart": %1$s, "poststop": %1$s}\
                        """
                            .formatted(hook)))));
    assertThat(planned.plan().getCreate().getHooksList())
        .hasSize(6)
        .allMatch(planned1 -> planned1.getTimeoutSeconds() == 3 && planned1.getEnvCount() == 1)
        .filteredOn(planned1 -> planned1.getHandle() != 0)
        .extracting(Hook::getPoint)
        .containsExactly(
            Hook.Point.PRESTART, Hook.Point.CREATE_RUNTIME, Hook.Point.CREATE_CONTAINER);
    assertThat(planned.care().getPoststopHooksCount()).isEqualTo(1);
    assertThat(planned.care().getPoststopState().toStringUtf8())
        .contains("\"id\":\"c1\",\"status\":\"stopped\",\"pid\":0,");
  }

  @Test
  void theStateDocumentIsWholeAroundItsTwoGaps() throws BrigException {
    CreateInput in =
        Fixture.input(
            Fixture.spec(
                spec(SMALL, "", ", \"annotations\": {\"k\\\"\": \"line\\n\\u0001\\\\\"}")));
    var parts = Fixture.plan(in).plan().getCreate().getStateJsonPartsList();
    String document = parts.get(0) + "created" + parts.get(1) + "42" + parts.get(2);
    assertThat(document)
        .isEqualTo(
            "{\"ociVersion\":\"1.2.0\",\"id\":\"c1\",\"status\":\"created\",\"pid\":42,"
                + "\"bundle\":\"/run/b/c1\",\"annotations\":{\"k\\\"\":\"line\\n\\u0001\\\\\"}}");
  }

  @Test
  void whatIsNotEnforcedIsRefusedByName() {
    assertThatThrownBy(() -> plan(spec(SMALL, ", \"intelRdt\": {\"closID\": \"x\"}", "")))
        .isInstanceOfSatisfying(
            BrigException.class,
            e -> assertThat(e.kind()).isEqualTo(BrigException.Kind.UNIMPLEMENTED))
        .hasMessageContaining("linux.intelRdt");
    assertThatThrownBy(() -> plan(spec(SMALL, ", \"netDevices\": {\"eth0\": {}}", "")))
        .hasMessageContaining("linux.netDevices");
    assertThatThrownBy(() ->
            plan(
                "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"rootfs\"}, \"linux\":"
                    + " {\"namespaces\": [{\"type\": \"mount\"}]}}"))
        .hasMessageContaining("process: is missing");
  }

  private static PlannedExec exec(LaunchPlan container, String process) throws BrigException {
    ProcessSpec parsed =
        SpecParser.parseProcess(("{" + process + "}").getBytes(StandardCharsets.UTF_8));
    return new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT)
        .planExec(container, parsed, true);
  }

  @Test
  void anExecHasAllOfTheContainersRestrictions() throws BrigException {
    LaunchPlan container = plan(spec(FULL, ", \"personality\": {\"domain\": \"LINUX32\"}", ""));
    PlannedExec exec = exec(container, "\"args\": [\"id\"], \"cwd\": \"/\"");
    Process init = container.getCreate().getProcess();
    Process process = exec.plan().getExec().getProcess();
    assertThat(exec.plan().hasCreate()).isFalse();
    assertThat(exec.plan().getContainerId()).isEqualTo("c1");
    assertThat(process.getCapabilities()).isEqualTo(init.getCapabilities());
    assertThat(process.getSeccompList()).isEqualTo(init.getSeccompList()).isNotEmpty();
    assertThat(process.getRlimitsList()).isEqualTo(init.getRlimitsList());
    assertThat(process.getOomScoreAdj()).isEqualTo(5);
    assertThat(process.getPersonality()).isEqualTo(8);
    assertThat(process.getScheduler()).isEqualTo(init.getScheduler());
    assertThat(process.getNoNewPrivileges()).isTrue();
    assertThat(process.getTerminal()).isTrue();
    assertThat(process.getUid()).isZero();
    assertThat(exec.stdioUid()).isEqualTo(0x30000000);
    assertThat(exec.plan().getExec().getCgroups().getDirsList())
        .hasSameSizeAs(container.getCreate().getCgroups().getDirsList())
        .noneMatch(dir -> dir.getCreate());
    assertThat(exec.plan().getExec().getCgroups().getWritesList()).isEmpty();
    assertThat(exec.plan().getExec().getJoinList())
        .containsExactlyElementsOf(
            container.getCreate().getNamespacesList().stream().map(n -> n.getKind()).toList());
  }

  @Test
  void anExecGetsNoCapabilityThatTheContainerCannotHave() throws BrigException {
    LaunchPlan container = plan(spec(FULL, "", ""));
    PlannedExec exec =
        exec(
            container,
            """
            "args": ["id"], "cwd": "/", "user": {"uid": 7, "gid": 8},
            "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
                             "permitted": ["CAP_CHOWN", "CAP_SYS_ADMIN"],
                             "effective": ["CAP_CHOWN", "CAP_SYS_ADMIN"]}\
            """);
    assertThat(exec.plan().getExec().getProcess().getCapabilities().getEffective()).isEqualTo(1);
    assertThat(exec.notes())
        .anyMatch(note -> note.contains("the container itself has no CAP_SYS_ADMIN"));
    assertThat(exec.stdioUid()).isEqualTo(0x30000000 + 7);
    assertThat(exec.stdioGid()).isEqualTo(0x30000000 + 8);
    assertThatThrownBy(
            () -> exec(container, "\"args\": [\"id\"], \"cwd\": \"/\", \"user\": {\"uid\": 70000}"))
        .hasMessageContaining("user id 70000 is not mapped");
  }

  @Test
  void anExecsOwnCpusReplaceThoseOfTheContainer() throws BrigException {
    LaunchPlan container =
        plan(spec(SMALL + ", \"execCPUAffinity\": {\"initial\": \"0\", \"final\": \"1\"}", "", ""));
    Process inherited = exec(container, SMALL).plan().getExec().getProcess();
    assertThat(inherited.getCpuAffinityInitial().toByteArray()).containsExactly(1);
    assertThat(inherited.getCpuAffinityFinal().toByteArray()).containsExactly(2);
    Process own =
        exec(container, SMALL + ", \"execCPUAffinity\": {\"initial\": \"2\"}")
            .plan()
            .getExec()
            .getProcess();
    assertThat(own.getCpuAffinityInitial().toByteArray()).containsExactly(4);
    assertThat(own.getCpuAffinityFinal().isEmpty()).isTrue();
  }

  @Test
  void theSeccompAgentIsToldOfExecsToo() throws BrigException {
    LaunchPlan container =
        plan(
            spec(
                SMALL,
                """
                , "seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": "/run/agent.sock",
                  "listenerMetadata": "m",
                  "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}\
                """,
                ""));
    assertThat(container.getCreate().getProcess().getSeccomp(0).getListenerHandle()).isPositive();
    Planner planner = new Planner(Fixture.hostV1().build(), SandboxConfig.DEFAULT);
    assertThat(planner.execSources(container))
        .singleElement()
        .satisfies(source -> assertThat(source.getPath()).isEqualTo("/run/agent.sock"));
    PlannedExec exec = exec(container, SMALL);
    assertThat(exec.plan().getExec().getProcess().getSeccomp(0).getListenerHandle()).isEqualTo(1);
    assertThat(exec.plan().getExec().getProcess().getSeccomp(0).getListenerMetadata())
        .isEqualTo("m");
  }
}
