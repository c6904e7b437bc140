package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.kernel.Proc;
import brig.testing.spec.OciSpec;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/**
 * A process executed in a container stands behind the container's own wall, in every line of it.
 */
@OneContainerd
@OnlyBrig
class ExecRestrictionsTest extends ClientTest {

  /** Of {@code status}: what is each process's own or changes while one looks. */
  private static final Set<String> OWN =
      Set.of(
          "Pid", "Tgid", "Ngid", "PPid", "NSpid", "NStgid", "NSpgid", "NSsid", "State", "FDSize");

  private static final List<String> FILES =
      List.of(
          "limits",
          "cgroup",
          "uid_map",
          "gid_map",
          "setgroups",
          "mountinfo",
          "mounts",
          "oom_score_adj",
          "personality",
          "loginuid",
          "timens_offsets",
          "coredump_filter",
          "timerslack_ns",
          "cpuset");

  ExecRestrictionsTest(Containerd containerd) {
    super(containerd);
  }

  /**
   * All that the kernel says of a process that isn't its own affair; what it doesn't say is not
   * there.
   */
  private static Map<String, String> told(Proc process) throws IOException {
    Map<String, String> all = new TreeMap<>();
    process
        .status()
        .forEach((field, value) -> {
          boolean memoryOrTime = field.matches("(Vm|Rss|Hugetlb|voluntary|nonvoluntary).*");
          if (!OWN.contains(field) && !memoryOrTime) {
            all.put("status " + field, value);
          }
        });
    for (String file : FILES) {
      if (Files.exists(process.path(file))) {
        all.put(file, process.read(file));
      }
    }
    try (var namespaces = Files.list(process.path("ns"))) {
      for (Path link : namespaces.toList()) {
        all.put("ns " + link.getFileName(), Files.readSymbolicLink(link).toString());
      }
    }
    for (String link : List.of("root", "cwd", "exe")) {
      all.put(link, Files.readSymbolicLink(process.path(link)).toString());
    }
    // Of `stat`: policy, real-time priority, nice (proc_pid_stat(5)), counted behind the name.
    String[] stat = process.read("stat").replaceFirst(".*\\) ", "").split(" ");
    all.put("scheduling", stat[38] + " " + stat[37] + " " + stat[16]);
    return all;
  }

  @Test
  void everyLineThatTheKernelHasOfInitHoldsForAnExec() throws IOException {
    OciSpec spec = OciSpec.running("sleep", "600").user(1000, 1001, 7, 50);
    spec.process().put("oomScoreAdj", 222).withObject("/user").put("umask", 027);
    spec.process().putObject("scheduler").put("policy", "SCHED_BATCH").put("nice", 3);
    spec.linux().putObject("personality").put("domain", "LINUX32");
    spec.rlimit("RLIMIT_CORE", 0, 0).rlimit("RLIMIT_NPROC", 500, 600);
    TestContainer container = container(spec);
    Proc init = container.start().proc();
    Map<String, String> expected = told(init);
    assertThat(expected).containsKeys("status Seccomp", "status CapBnd", "limits", "ns user");
    // One that says all itself, and one that leaves to the container what it doesn't say.
    var brief = container.spec().execProcess("sleep", "600");
    for (String field : List.of("capabilities", "rlimits", "oomScoreAdj", "scheduler")) {
      brief.remove(field);
    }
    for (var process : List.of(container.spec().execProcess("sleep", "600"), brief)) {
      TestProcess exec = container.exec(Names.fresh("same"), process, Stdio.none()).start();
      assertThat(told(exec.proc())).containsExactlyInAnyOrderEntriesOf(expected);
      exec.signal(9);
      exec.await();
    }
  }

  @Test
  void masksAndReadOnlyPathsHoldForAnExec() {
    TestContainer container = sleeping();
    container.start();
    Ran masked = exec(container, "brig-probe", "read-empty", "/proc/timer_list", "/sys/firmware");
    assertThat(masked.stdout().lines()).allMatch(line -> line.contains("\tok\t"));
    Ran written =
        exec(
            container,
            "brig-probe",
            "open-write",
            "/proc/sysrq-trigger",
            "/proc/sys/vm/swappiness");
    assertThat(written.stdout().lines()).hasSize(2).noneMatch(line -> line.contains("\tok\t"));
  }

  @Test
  void aDebuggerFromExecReachesInit() {
    OciSpec spec =
        OciSpec.running(
            "sh", "-c", "trap 'echo traced' USR1; echo ready; while :; do sleep 0.05; done");
    // The host's own debugger and what it loads.
    for (String directory : List.of("/usr", "/lib", "/lib64")) {
      spec.bind(directory, directory, "ro");
    }
    TestContainer container = container(spec);
    TestProcess init = container.start();
    init.stdio().awaitStdout("ready");
    Stdio stdio = Stdio.captured();
    TestProcess strace =
        container
            .exec(
                Names.fresh("strace"),
                container
                    .spec()
                    .execProcess("sh", "-c", "exec strace -p 1 -e trace=none -e signal=USR1 2>&1"),
                stdio)
            .start();
    stdio.awaitStdout("attached");
    init.signal(10);
    stdio.awaitStdout("SIGUSR1");
    strace.signal(15);
    strace.await();
    init.stdio().awaitStdout("traced");
  }
}
