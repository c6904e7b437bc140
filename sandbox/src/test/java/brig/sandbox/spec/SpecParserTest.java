package brig.sandbox.spec;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.profiles.seccomp.Action;
import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

final class SpecParserTest {
  private static final String WHOLE =
      """
      {"ociVersion": "1.3.0", "hostname": "h", "domainname": "d",
       "annotations": {"a": "b"},
       "root": {"path": "rootfs", "readonly": true},
       "process": {
         "terminal": true, "consoleSize": {"height": 24, "width": 80},
         "user": {"uid": 1000, "gid": 100, "umask": 18, "additionalGids": [5, 4294967294]},
         "args": ["sh", "-c", ""], "env": ["PATH=/bin", "EMPTY="], "cwd": "/",
         "capabilities": {"bounding": ["CAP_KILL"], "ambient": null},
         "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 18446744073709551615}],
         "noNewPrivileges": true, "apparmorProfile": "p", "oomScoreAdj": -998,
         "scheduler": {"policy": "SCHED_FIFO", "priority": 10,
                       "flags": ["SCHED_FLAG_RESET_ON_FORK"]},
         "selinuxLabel": "s", "ioPriority": {"class": "IOPRIO_CLASS_BE", "priority": 4},
         "execCPUAffinity": {"initial": "0-3", "final": "1,5-6"}},
       "mounts": [{"destination": "/data", "type": "bind", "source": "/v",
                   "options": ["rbind", "rro"],
                   "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
                   "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}]}],
       "hooks": {"poststop": [{"path": "/h", "args": ["h"], "env": ["A=b"], "timeout": 5}]},
       "linux": {
         "uidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
         "gidMappings": [{"containerID": 0, "hostID": 100000, "size": 65536}],
         "sysctl": {"net.core.somaxconn": "256"},
         "cgroupsPath": "/k/c",
         "namespaces": [{"type": "mount"}, {"type": "uts"}, {"type": "user"},
                        {"type": "network", "path": "/run/n"}, {"type": "time"}],
         "devices": [{"path": "/dev/fuse", "type": "c", "major": 10, "minor": 229,
                      "fileMode": 438, "uid": 0, "gid": 0}],
         "netDevices": {"eth1": {"name": "eth0"}},
         "seccomp": {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
                     "architectures": ["SCMP_ARCH_X86_64"],
                     "flags": ["SECCOMP_FILTER_FLAG_LOG"], "listenerPath": "/s",
                     "listenerMetadata": "m",
                     "syscalls": [{"names": ["clone"], "action": "SCMP_ACT_ALLOW",
                       "args": [{"index": 0, "value": 18446744073709551615, "valueTwo": 7,
                                 "op": "SCMP_CMP_MASKED_EQ"}]}]},
         "rootfsPropagation": "rslave",
         "maskedPaths": ["/proc/kcore"], "readonlyPaths": ["/proc/sys"], "mountLabel": "l",
         "intelRdt": {"closID": "c"},
         "memoryPolicy": {"mode": "MPOL_BIND", "nodes": "0-1", "flags": ["MPOL_F_STATIC_NODES"]},
         "personality": {"domain": "LINUX32"},
         "timeOffsets": {"boottime": {"secs": -5, "nanosecs": 7}},
         "resources": {
           "devices": [{"allow": false, "access": "rwm"}],
           "memory": {"limit": 1048576, "swap": 2097152, "swappiness": 60,
                      "disableOOMKiller": false},
           "cpu": {"shares": 512, "quota": -1, "cpus": "0-1", "mems": "0", "idle": 0},
           "pids": {"limit": 100},
           "blockIO": {"weight": 10, "weightDevice": [{"major": 8, "minor": 0, "weight": 500}],
             "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 600}]},
           "hugepageLimits": [{"pageSize": "2MB", "limit": 9223372036854772000}],
           "network": {"classID": 1048577, "priorities": [{"name": "eth0", "priority": 500}]},
           "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10000}},
           "unified": {"memory.high": "1000"}}}}
      """;

  private static Spec parse(String json) throws BrigException {
    return SpecParser.parse(json.getBytes(StandardCharsets.UTF_8));
  }

  private static void refused(String json, String words) {
    assertThatThrownBy(() -> parse(json))
        .isInstanceOfSatisfying(
            BrigException.class, e -> assertThat(e.kind()).isEqualTo(Kind.INVALID_ARGUMENT))
        .hasMessageContaining(words);
  }

  @Test
  void everyFieldIsRead() throws BrigException {
    Spec spec = parse(WHOLE);
    ProcessSpec process = spec.process().orElseThrow();
    assertThat(process.args()).containsExactly("sh", "-c", "");
    assertThat(process.user().additionalGids()).containsExactly(5L, 4294967294L);
    assertThat(process.rlimits().getFirst().hard()).isEqualTo(-1L);
    assertThat(process.oomScoreAdj()).hasValue(-998);
    assertThat(process.capabilities().orElseThrow().ambient()).isEmpty();
    assertThat(spec.linux().seccomp().orElseThrow().defaultAction()).isEqualTo(Action.ERRNO);
    assertThat(
            spec.linux()
                .seccomp()
                .orElseThrow()
                .syscalls()
                .getFirst()
                .arguments()
                .getFirst()
                .value())
        .isEqualTo(-1L);
    assertThat(spec.linux().timeOffsets().get(TimeOffsetClock.BOOTTIME))
        .isEqualTo(new TimeOffsetSpec(-5, 7));
    assertThat(spec.linux().resources().unified()).containsEntry("memory.high", "1000");
    assertThat(spec.linux().resources().pidsLimit()).hasValue(100);
    assertThat(spec.hooks().poststop().getFirst().timeout()).hasValue(5);
  }

  @Test
  void realSpecsAreRead() throws BrigException {
    for (String name : List.of("ctr-spec.json", "ctr-seccomp-spec.json")) {
      try (var in = SpecParserTest.class.getResourceAsStream("/brig/sandbox/" + name)) {
        assertThat(SpecParser.parse(java.util.Objects.requireNonNull(in).readAllBytes()).process())
            .isPresent();
      } catch (java.io.IOException e) {
        throw new AssertionError(e);
      }
    }
  }

  @Test
  void unknownFieldsAreIgnoredAndNullIsAbsent() throws BrigException {
    Spec spec =
        parse(
            """
            {"ociVersion": "1.0.2-dev", "future": {"deep": [1, 2]}, "mounts": null,
             "linux": {"seccomp": null, "namespaces": [{"type": "pid", "new": true}]}}
            """);
    assertThat(spec.mounts()).isEmpty();
    assertThat(spec.linux().seccomp()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "\"type\": \"uts\"|\"type\": \"foo\"|linux.namespaces[1].type: unknown value \"foo\"",
        "\"CAP_KILL\"|\"CAP_FLY\"|process.capabilities.bounding[0]: unknown value \"CAP_FLY\"",
        "\"RLIMIT_CORE\"|\"RLIMIT_X\"|process.rlimits[0].type: unknown value",
        "\"SCMP_ACT_ALLOW\"|\"SCMP_ACT_X\"|linux.seccomp.syscalls[0].action: unknown value",
        "\"SCMP_ARCH_X86_64\"|\"Z80\"|linux.seccomp.architectures[0]: unknown value",
        "\"rslave\"|\"rwild\"|linux.rootfsPropagation: unknown value",
        "\"SCHED_FIFO\"|\"SCHED_X\"|process.scheduler.policy: unknown value",
        "\"MPOL_BIND\"|\"MPOL_X\"|linux.memoryPolicy.mode: unknown value",
        "\"boottime\"|\"realtime\"|linux.timeOffsets: unknown clock \"realtime\"",
        "\"LINUX32\"|\"MINIX\"|linux.personality.domain: unknown value",
        "\"uid\": 1000|\"uid\": 4294967295|process.user.uid: is 4294967295, not within 0 to 4294967294",
        "\"uid\": 1000|\"uid\": -1|process.user.uid: is -1",
        "\"uid\": 1000|\"uid\": 1.5|process.user.uid: is 1.5, not a whole number",
        "\"uid\": 1000|\"uid\": \"0\"|process.user.uid: is a string, not a number",
        "\"uid\": 1000|\"uid\": 1e400|process.user.uid: is a number out of all bounds",
        "\"hard\": 18446744073709551615|\"hard\": 18446744073709551616|process.rlimits[0].hard: is 18446744073709551616",
        "\"soft\": 0, \"hard\": 18446744073709551615|\"soft\": 2, \"hard\": 1|process.rlimits[0].soft: is 2, more than hard 1",
        "\"oomScoreAdj\": -998|\"oomScoreAdj\": 1001|process.oomScoreAdj: is 1001",
        "\"cwd\": \"/\"|\"cwd\": \"tmp\"|process.cwd: is \"tmp\", not an absolute path",
        "\"args\": [\"sh\", \"-c\", \"\"]|\"args\": []|process.args: is empty",
        "\"EMPTY=\"|\"EMPTY\"|process.env[1]: \"EMPTY\" is not of the form NAME=value",
        "\"EMPTY=\"|\"E\\u0000=\"|process.env[1]: contains a NUL character",
        "\"EMPTY=\"|\"E=\\ud83d\"|process.env[1]: contains half a character",
        "\"EMPTY=\"|\"E=\\ude00\\ud83d\"|process.env[1]: contains half a character",
        "\"hostname\": \"h\"|\"hostname\": \"h\", \"hostname\": \"i\"|hostname: stands twice",
        "{\"type\": \"uts\"}|{\"type\": \"pid\"}|hostname: is given without a uts namespace",
        "{\"type\": \"user\"}|{\"type\": \"ipc\"}|linux.uidMappings: is given without a user namespace",
        "{\"type\": \"time\"}|{\"type\": \"ipc\"}|linux.timeOffsets: is given without a time namespace",
        "{\"type\": \"time\"}|{\"type\": \"uts\"}|linux.namespaces: uts stands twice",
        "\"path\": \"/run/n\"|\"path\": \"run/n\"|linux.namespaces[3].path",
        "\"swap\": 2097152|\"swap\": 1|linux.resources.memory.swap: is 1, less than limit 1048576",
        "\"cpus\": \"0-1\"|\"cpus\": \"3-1\"|linux.resources.cpu.cpus: \"3-1\" has the range 3-1 reversed",
        "\"pageSize\": \"2MB\"|\"pageSize\": \"../x\"|linux.resources.hugepageLimits[0].pageSize",
        "\"memory.high\"|\"../cgroup.procs\"|linux.resources.unified",
        "\"access\": \"rwm\"|\"access\": \"rwx\"|linux.resources.devices[0].access",
        "\"index\": 0|\"index\": 6|linux.seccomp.syscalls[0].args[0].index: is 6",
        "\"defaultAction\": \"SCMP_ACT_ERRNO\"|\"defaultAction\": \"SCMP_ACT_ALLOW\"|linux.seccomp.defaultErrnoRet: means nothing for SCMP_ACT_ALLOW",
        "\"hostID\": 100000, \"size\": 65536}], \"gid|\"size\": 0}], \"gid|mounts[0]",
        "\"ociVersion\": \"1.3.0\"|\"ociVersion\": \"2.0.0\"|ociVersion: version \"2.0.0\" is not 1.x",
        "\"annotations\": {\"a\"|\"windows\": {}, \"annotations\": {\"a\"|windows: describes another platform",
        "\"type\": \"c\", \"major\"|\"type\": \"a\", \"major\"|linux.devices[0].type",
        "\"nodes\": \"0-1\"|\"nodes\": \"x\"|linux.memoryPolicy.nodes",
      })
  void wrongFieldsAreRefusedWithTheirPath(String right, String wrong, String words) {
    assertThat(WHOLE.replaceAll("\\s+", " ")).contains(right);
    refused(
        WHOLE
            .replaceAll("\\s+", " ")
            .replaceFirst(
                java.util.regex.Pattern.quote(right),
                java.util.regex.Matcher.quoteReplacement(wrong)),
        words);
  }

  @Test
  void aNumberThatNothingCanHoldIsRefused() {
    for (String number : new String[] {"1e1000000000", "1e99999999999", "1e-99999999999"}) {
      refused("{\"ociVersion\": " + number + "}", "is a number out of all bounds");
    }
  }

  @Test
  void whatIsNoJsonIsSaidWithItsPlace() {
    refused("", "is empty");
    refused("{\"ociVersion\": }", "is not JSON");
    refused("{\"ociVersion\":\n  \"1.0\"", "line 2");
    refused("{} {}", "has more after its end");
    refused("[]", "is an array, not an object");
    refused("{\"a\": 01}", "is not JSON");
    refused("{'a': 1}", "is not JSON");
    refused("{} // comment", "is not JSON");
    assertThatThrownBy(
            () -> SpecParser.parse(new byte[] {'{', '"', (byte) 0xff, '"', ':', '1', '}'}))
        .isInstanceOf(BrigException.class);
    assertThatThrownBy(
            () -> SpecParser.parse("{\"ociVersion\": \"1.0\"}".getBytes(StandardCharsets.UTF_16)))
        .isInstanceOf(BrigException.class);
  }

  @Test
  void sizeAndDepthAreBounded() {
    refused("[".repeat(100_000), "beyond bounds");
    refused("{\"a\":".repeat(40) + "1" + "}".repeat(40), "beyond bounds");
    refused("{\"a\": \"" + "x".repeat(4 << 20) + "\"}", "more than 4194304");
  }

  @Test
  void aCharacterBeyondTheFirstPlaneIsRead() throws BrigException {
    Spec spec = parse("{\"ociVersion\": \"1.0\", \"annotations\": {\"a\": \"\\ud83d\\ude00\"}}");
    assertThat(spec.annotations()).containsEntry("a", "\ud83d\ude00");
  }

  @Test
  void theNumberOfValuesIsBoundedWhateverTheyAre() {
    refused("{\"a\": [" + "0,".repeat(1_000_000) + "0]}", "a[99998]: is beyond the 100000 values");
    refused("{\"a\": [" + "{},".repeat(1_000_000) + "{}]}", "is beyond the 100000 values");
    String mount = "{\"destination\": \"/a\", \"type\": \"tmpfs\"},";
    refused(
        "{\"ociVersion\": \"1.0\", \"mounts\": [" + mount.repeat(90_000) + "{}]}",
        "mounts[33332].destination: is beyond the 100000 values");
    refused("{\"" + "x".repeat(5000) + "\": 1}", "beyond bounds");
  }

  @Test
  void aMapOfMoreLinesThanTheKernelTakesIsRefused() {
    String line = "{\"containerID\": 0, \"hostID\": 100000, \"size\": 1}";
    refused(
        "{\"ociVersion\": \"1.0\", \"linux\": {\"uidMappings\": ["
            + String.join(",", Collections.nCopies(341, line))
            + "]}}",
        "linux.uidMappings: has 341 lines; the kernel takes 340");
  }

  @Test
  void anExecAndAnUpdateAreReadAlone() throws BrigException {
    ProcessSpec process =
        SpecParser.parseProcess(
            "{\"args\": [\"id\"], \"cwd\": \"/\"}".getBytes(StandardCharsets.UTF_8));
    assertThat(process.user()).isEqualTo(UserSpec.ROOT);
    Resources resources =
        SpecParser.parseResources("{\"memory\": {\"limit\": -1}}".getBytes(StandardCharsets.UTF_8));
    assertThat(resources.memory().limit()).hasValue(-1);
    assertThat(resources.cpu()).isEqualTo(CpuLimits.NONE);
    assertThatThrownBy(
            () -> SpecParser.parseResources("{\"cpu\": 3}".getBytes(StandardCharsets.UTF_8)))
        .hasMessageContaining("read resources: cpu: is a number, not an object");
  }
}
