package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Proc;
import brig.testing.spec.OciSpec;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/** Fields of {@code process} and what else is one process's own, as the kernel shows them. */
@OneContainerd
@OnlyBrig
class ProcessFieldsTest extends ClientTest {

  ProcessFieldsTest(Containerd containerd) {
    super(containerd);
  }

  /** What the probe printed of itself: name to value. */
  private static Map<String, String> described(Ran ran) {
    assertThat(ran.status()).as(ran.stderr()).isZero();
    return ran.stdout()
        .lines()
        .map(line -> line.split("\t", 3))
        .collect(
            Collectors.toMap(
                fields -> fields[0],
                fields -> fields[1].equals("ok") ? fields[2] : fields[1],
                (one, other) -> other,
                TreeMap::new));
  }

  @Test
  void schedulingIsTheSpecifications() {
    OciSpec spec = OciSpec.running("brig-probe", "scheduling");
    ObjectNode process = spec.process();
    process
        .putObject("scheduler")
        .put("policy", "SCHED_BATCH")
        .put("nice", 7)
        .putArray("flags")
        .add("SCHED_FLAG_RESET_ON_FORK");
    process.putObject("ioPriority").put("class", "IOPRIO_CLASS_BE").put("priority", 6);
    process.withObject("/user").put("umask", 027);
    // Without our own filter, which keeps the question from being asked.
    spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_ALLOW");
    spec.linux()
        .putObject("memoryPolicy")
        .put("mode", "MPOL_BIND")
        .put("nodes", "0")
        .putArray("flags")
        .add("MPOL_F_STATIC_NODES");
    spec.linux().putObject("personality").put("domain", "LINUX32");
    assertThat(described(run(spec)))
        .containsEntry("policy", "3")
        .containsEntry("nice", "7")
        .containsEntry("flags", "1")
        .containsEntry("io class", "2")
        .containsEntry("io priority", "6")
        .containsEntry("umask", "27")
        .containsEntry("memory mode", "0x8002")
        .containsEntry("memory nodes", "0x1")
        .containsEntry("personality", "0x8");
  }

  @Test
  void aRealTimeProcessHasItsPriority() {
    // Groups of the real-time kind are only those that have time of that kind.
    OciSpec spec =
        OciSpec.running("brig-probe", "scheduling").cgroupsPath("/" + Names.fresh("brig-it-rt"));
    spec.resources()
        .withObject("/cpu")
        .put("realtimePeriod", 1_000_000)
        .put("realtimeRuntime", 10_000);
    spec.process().putObject("scheduler").put("policy", "SCHED_FIFO").put("priority", 13);
    assertThat(described(run(spec))).containsEntry("policy", "1").containsEntry("priority", "13");
  }

  @Test
  void aDeadlineProcessHasItsTimes() {
    OciSpec spec = OciSpec.running("brig-probe", "scheduling");
    spec.process()
        .putObject("scheduler")
        .put("policy", "SCHED_DEADLINE")
        .put("runtime", 2_000_000)
        .put("deadline", 20_000_000)
        .put("period", 40_000_000);
    assertThat(described(run(spec)))
        .containsEntry("policy", "6")
        .containsEntry("runtime", "2000000")
        .containsEntry("deadline", "20000000")
        .containsEntry("period", "40000000");
  }

  @Test
  void limitsGroupsAndTheScoreStandInProc() {
    OciSpec spec = OciSpec.running("sleep", "600").user(1000, 1001, 7, 2000);
    spec.process().put("oomScoreAdj", 321);
    spec.process().withObject("/user").put("umask", 077);
    spec.process().putArray("rlimits");
    spec.rlimit("RLIMIT_CPU", 1_000, 2_000)
        .rlimit("RLIMIT_FSIZE", 1_001, 2_001)
        .rlimit("RLIMIT_DATA", 1L << 40, 1L << 41)
        .rlimit("RLIMIT_STACK", 8 << 20, 16 << 20)
        .rlimit("RLIMIT_CORE", 0, 1)
        .rlimit("RLIMIT_RSS", 1_002, 2_002)
        .rlimit("RLIMIT_NPROC", 1_003, 2_003)
        .rlimit("RLIMIT_NOFILE", 100, 200)
        .rlimit("RLIMIT_MEMLOCK", 4_096, 8_192)
        .rlimit("RLIMIT_AS", 1L << 42, 1L << 43)
        .rlimit("RLIMIT_LOCKS", 1_004, 2_004)
        .rlimit("RLIMIT_SIGPENDING", 1_005, 2_005)
        .rlimit("RLIMIT_MSGQUEUE", 1_006, 2_006)
        .rlimit("RLIMIT_NICE", 0, 0)
        .rlimit("RLIMIT_RTPRIO", 0, 0)
        .rlimit("RLIMIT_RTTIME", 1_007, 2_007);
    Proc init = container(spec).start().proc();
    Map<String, String> limits = limits(init);
    assertThat(limits)
        .containsEntry("Max cpu time", "1000 2000")
        .containsEntry("Max file size", "1001 2001")
        .containsEntry("Max data size", (1L << 40) + " " + (1L << 41))
        .containsEntry("Max stack size", (8 << 20) + " " + (16 << 20))
        .containsEntry("Max core file size", "0 1")
        .containsEntry("Max resident set", "1002 2002")
        .containsEntry("Max processes", "1003 2003")
        .containsEntry("Max open files", "100 200")
        .containsEntry("Max locked memory", "4096 8192")
        .containsEntry("Max address space", (1L << 42) + " " + (1L << 43))
        .containsEntry("Max file locks", "1004 2004")
        .containsEntry("Max pending signals", "1005 2005")
        .containsEntry("Max msgqueue size", "1006 2006")
        .containsEntry("Max nice priority", "0 0")
        .containsEntry("Max realtime priority", "0 0")
        .containsEntry("Max realtime timeout", "1007 2007");
    assertThat(init.read("oom_score_adj").strip()).isEqualTo("321");
    assertThat(init.status("Umask")).isEqualTo("0077");
    long root = init.uidMap().getFirst().outside();
    assertThat(init.status("Uid").split("\t")).containsOnly(Long.toString(root + 1000));
    assertThat(init.status("Gid").split("\t")).containsOnly(Long.toString(root + 1001));
    assertThat(init.status("Groups")).isEqualTo((root + 7) + " " + (root + 2000));
  }

  /** Name of a limit to its soft and hard value. */
  private static Map<String, String> limits(Proc process) {
    return process
        .read("limits")
        .lines()
        .skip(1)
        .map(line -> line.split(" {2,}"))
        .collect(Collectors.toMap(fields -> fields[0], fields -> fields[1] + " " + fields[2]));
  }

  @Test
  void anExecRunsOnItsCpus() {
    TestContainer container = sleeping();
    assertThat(container.start().proc().status("Cpus_allowed_list")).isNotEqualTo("0");
    ObjectNode process = container.spec().execProcess("sleep", "600");
    process.putObject("execCPUAffinity").put("initial", "0").put("final", "0");
    TestProcess exec = container.exec(Names.fresh("cpus"), process, Stdio.none()).start();
    assertThat(exec.proc().status("Cpus_allowed_list")).isEqualTo("0");
    exec.signal(9);
    exec.await();
    // What holds until it enters the cgroups shows in nothing but the kernel's refusal of it.
    process.putObject("execCPUAffinity").put("initial", "1000");
    TestProcess impossible = container.exec(Names.fresh("cpus"), process, Stdio.none());
    assertThat(Refusals.words(impossible::start))
        .contains("initial CPU affinity", "invalid argument");
    impossible.delete();
  }

  @Test
  void theFirstProcessOfATerminalFindsItsSize() {
    OciSpec spec = OciSpec.running("stty", "size").terminal();
    spec.process().putObject("consoleSize").put("height", 31).put("width", 97);
    Stdio stdio = Stdio.terminal();
    container(spec).run(stdio);
    assertThat(stdio.stdout().strip()).isEqualTo("31 97");
  }
}
