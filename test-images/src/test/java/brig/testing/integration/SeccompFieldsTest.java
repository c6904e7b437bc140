package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.kernel.Proc;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

/**
 * A specification's own filter, asked from inside: what the kernel answers to a system call is what
 * its rule says.
 */
@OneContainerd
@OnlyBrig
class SeccompFieldsTest extends ClientTest {

  // Numbers of asm/unistd_64.h and asm/unistd_32.h; calls that do no harm whatever their arguments.
  private static final int GETPRIORITY = 140;
  private static final int GETPGID = 121;
  private static final int GETSID = 124;
  private static final int GETPPID_OF_I386 = 64;

  SeccompFieldsTest(Containerd containerd) {
    super(containerd);
  }

  private static ObjectNode allowing(OciSpec spec) {
    ObjectNode seccomp = spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    seccomp.putArray("architectures").add("SCMP_ARCH_X86_64");
    return seccomp;
  }

  private static ObjectNode rule(ObjectNode seccomp, String action, String... names) {
    ObjectNode rule = seccomp.withArray("syscalls").addObject().put("action", action);
    ArrayNode all = rule.putArray("names");
    for (String name : names) {
      all.add(name);
    }
    return rule;
  }

  private static void argument(ObjectNode rule, int index, String op, long value, long two) {
    rule.withArray("args")
        .addObject()
        .put("index", index)
        .put("op", op)
        .put("value", value)
        .put("valueTwo", two);
  }

  /** What a call came to: "ok", or the errno. */
  private String call(TestContainer container, String way, Object... numbers) {
    String[] command = new String[numbers.length + 2];
    command[0] = "brig-probe";
    command[1] = way;
    for (int i = 0; i < numbers.length; i++) {
      command[i + 2] = numbers[i].toString();
    }
    Ran ran = exec(container, command);
    assertThat(ran.status()).as(ran.stderr()).isZero();
    return ran.stdout().strip().split("\t")[1];
  }

  @Test
  void rulesLookAtTheArgumentsTheyName() {
    OciSpec spec = OciSpec.running("sleep", "600");
    ObjectNode seccomp = allowing(spec);
    ObjectNode equal = rule(seccomp, "SCMP_ACT_ERRNO", "getpgid").put("errnoRet", 18);
    argument(equal, 0, "SCMP_CMP_EQ", 77, 0);
    ObjectNode masked = rule(seccomp, "SCMP_ACT_ERRNO", "getsid").put("errnoRet", 26);
    argument(masked, 0, "SCMP_CMP_MASKED_EQ", 0xf0, 0x50);
    ObjectNode second = rule(seccomp, "SCMP_ACT_ERRNO", "getpriority").put("errnoRet", 98);
    argument(second, 1, "SCMP_CMP_GT", 0x1_0000_0000L, 0);
    TestContainer container = container(spec);
    container.start();
    assertThat(call(container, "call", GETPGID, 77)).isEqualTo("EXDEV");
    assertThat(call(container, "call", GETPGID, 0)).isEqualTo("ok");
    assertThat(call(container, "call", GETSID, 0x5f)).isEqualTo("ETXTBSY");
    assertThat(call(container, "call", GETSID, 0)).isEqualTo("ok");
    // The whole of 64 bits counts.
    assertThat(call(container, "call", GETPRIORITY, 0, "0x100000001")).isEqualTo("EADDRINUSE");
    assertThat(call(container, "call", GETPRIORITY, 0, 0)).isEqualTo("ok");
  }

  @Test
  void whatNoRuleNamesGetsTheDefaultWithItsErrno() {
    OciSpec spec = OciSpec.running("brig-probe", "call", Integer.toString(GETSID), "0");
    ObjectNode seccomp = allowing(spec);
    seccomp.put("defaultAction", "SCMP_ACT_ERRNO").put("defaultErrnoRet", 18);
    // What a static program, and Brig's own last steps before it, can't do without.
    rule(
        seccomp,
        "SCMP_ACT_ALLOW",
        List.of(
                "execve",
                "exit_group",
                "exit",
                "read",
                "write",
                "writev",
                "close",
                "mmap",
                "munmap",
                "brk",
                "arch_prctl",
                "set_tid_address",
                "set_robust_list",
                "rseq",
                "prlimit64",
                "readlinkat",
                "readlink",
                "getrandom",
                "mprotect",
                "rt_sigaction",
                "rt_sigprocmask",
                "sigaltstack",
                "poll",
                "ppoll",
                "fstat",
                "newfstatat",
                "sched_getaffinity",
                "uname",
                "openat",
                "futex",
                "mremap",
                "madvise",
                "tgkill",
                "gettid",
                "getpid",
                "prctl",
                "fcntl",
                "capset",
                "capget",
                "recvmsg",
                "sendmsg",
                "access",
                "faccessat2",
                "rt_sigreturn",
                "pread64",
                "lseek",
                "statx",
                "ioctl",
                "dup",
                "dup2",
                "dup3")
            .toArray(String[]::new));
    assertThat(run(spec).stdout()).startsWith("call\tEXDEV\t");
  }

  @Test
  void programsOfAnotherArchitectureHaveTheFilterOnlyWhereTheSpecificationNamesIt() {
    OciSpec both = OciSpec.running("sleep", "600");
    ObjectNode seccomp = allowing(both);
    seccomp.withArray("architectures").add("SCMP_ARCH_X86");
    rule(seccomp, "SCMP_ACT_ERRNO", "getppid").put("errnoRet", 18);
    TestContainer container = container(both);
    container.start();
    assertThat(call(container, "call", 110)).isEqualTo("EXDEV");
    assertThat(call(container, "call32", GETPPID_OF_I386)).isEqualTo("EXDEV");

    OciSpec one = OciSpec.running("brig-probe", "call32", Integer.toString(GETPPID_OF_I386));
    rule(allowing(one), "SCMP_ACT_ERRNO", "getppid").put("errnoRet", 18);
    // SIGSYS: an architecture that the filter doesn't know is no way around it.
    assertThat(run(one).status()).isEqualTo(128 + 31);
  }

  @Test
  void flagsReachTheKernel() {
    OciSpec plain = OciSpec.running("sleep", "600");
    allowing(plain);
    OciSpec speculative = OciSpec.running("sleep", "600");
    allowing(speculative).putArray("flags").add("SECCOMP_FILTER_FLAG_SPEC_ALLOW");
    Proc without = container(plain).start().proc();
    Proc with = container(speculative).start().proc();
    for (Proc process : List.of(without, with)) {
      assertThat(process.status("Seccomp")).isEqualTo("2");
    }
    // A processor that isn't vulnerable, or has no switch, shows neither.
    String mitigated = without.status("Speculation_Store_Bypass");
    if (mitigated.equals("thread force mitigated")) {
      assertThat(with.status("Speculation_Store_Bypass")).isEqualTo("thread vulnerable");
    } else {
      assertThat(with.status("Speculation_Store_Bypass")).isEqualTo(mitigated);
    }
  }

  @Test
  void theAgentOfTheSpecificationAnswersForTheKernel() throws IOException {
    Path socket = place("agent").resolve("agent.sock");
    try (Command.Running agent =
        Command.of(
                containerd.settings().probe().toString(), "seccomp-agent", socket.toString(), "18")
            .start()) {
      Eventually.holds("the agent listens", () -> Files.exists(socket));
      OciSpec spec = OciSpec.running("sh", "-c", "brig-probe call " + GETSID + " 0; sleep 600");
      ObjectNode seccomp = allowing(spec);
      seccomp.put("listenerPath", socket.toString()).put("listenerMetadata", "for \"whom\"");
      seccomp.putArray("flags").add("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV");
      rule(seccomp, "SCMP_ACT_NOTIFY", "getsid");
      TestContainer container = container(spec);
      Stdio stdio = Stdio.captured();
      var init = container.start(stdio);
      stdio.awaitStdout("call\tEXDEV\t");
      assertThat(call(container, "call", GETSID, 0)).as("of an exec").isEqualTo("EXDEV");
      agent.close();
      List<String> said = agent.await().stdout().lines().toList();
      List<String> states = said.stream().filter(line -> line.startsWith("{")).toList();
      // One of init's, one of the exec's.
      assertThat(states).hasSize(2);
      JsonNode state = new ObjectMapper().readTree(states.getFirst());
      assertThat(state.path("metadata").asText()).isEqualTo("for \"whom\"");
      assertThat(state.path("fds").get(0).asText()).isEqualTo("seccompFd");
      assertThat(state.path("pid").asInt()).isEqualTo(init.pid());
      assertThat(state.path("state").path("id").asText()).isEqualTo(container.id());
      assertThat(said).filteredOn(line -> line.startsWith("asked about " + GETSID)).hasSize(2);
    }
  }
}
