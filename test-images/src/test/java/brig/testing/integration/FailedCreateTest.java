package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.faults.Inventory;
import brig.testing.kernel.CgroupsV1;
import brig.testing.kernel.Mounts;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/** What can't be created is told with its name, and leaves nothing. */
@OneContainerd
class FailedCreateTest extends ClientTest {

  FailedCreateTest(Containerd containerd) {
    super(containerd);
  }

  private static Arguments fault(String name, UnaryOperator<OciSpec> fault, String... words) {
    return Arguments.argumentSet(name, fault, List.of(words));
  }

  /** Faults that any runtime tells at Create. */
  static Stream<Arguments> faults() {
    return Stream.of(
        fault(
            "a missing executable",
            spec -> spec.command("/no/such/program"),
            "/no/such/program",
            "no such file or directory"),
        fault(
            "an executable that PATH doesn't have",
            spec -> spec.command("no-such-program"),
            "no-such-program",
            "executable file not found"),
        fault(
            "a file that is no program",
            spec -> spec.command("/etc/passwd"),
            "/etc/passwd",
            "permission denied"),
        fault("a directory as program", spec -> spec.command("/etc"), "/etc"),
        fault(
            "a missing mount source",
            spec -> spec.bind("/no/such/source", "/mnt", "ro"),
            "/no/such/source",
            "no such file or directory"),
        fault(
            "a namespace that isn't there",
            spec -> spec.joinNamespace("network", "/no/such/ns"),
            "/no/such/ns"),
        fault(
            "an unknown kind of limit",
            spec -> spec.rlimit("RLIMIT_NOSUCH", 1, 1),
            "RLIMIT_NOSUCH"),
        fault(
            "a processor that isn't there",
            spec -> {
              spec.resources().withObject("/cpu").put("cpus", "700");
              return spec;
            },
            "cpuset"));
  }

  @ParameterizedTest
  @MethodSource("faults")
  void itIsNamedAndLeavesNothing(UnaryOperator<OciSpec> fault, List<String> words) {
    refusedWithoutTrace(fault.apply(OciSpec.running("sleep", "600")), words);
  }

  /** Faults that other runtimes let pass, or tell in other words. */
  static Stream<Arguments> strictFaults() {
    return Stream.of(
        fault("an unknown file system", spec -> spec.mount("nosuchfs", "none", "/mnt"), "nosuchfs"),
        fault("a relative working directory", spec -> spec.workingDirectory("etc"), "etc"),
        fault(
            "a file as working directory",
            spec -> spec.workingDirectory("/etc/passwd"),
            "/etc/passwd"),
        fault(
            "an unknown namespace kind",
            spec -> {
              spec.linux().withArray("namespaces").addObject().put("type", "nosuch");
              return spec;
            },
            "namespaces",
            "nosuch"),
        fault(
            "an unknown capability",
            spec -> spec.capabilities(List.of("CAP_CHOWN", "CAP_NO_SUCH")),
            "CAP_NO_SUCH"),
        fault("a user beyond the range", spec -> spec.user(70_000, 0), "70000"),
        fault("a group beyond the range", spec -> spec.user(0, 71_000), "71000"),
        fault("an additional group beyond the range", spec -> spec.user(0, 0, 72_000), "72000"),
        fault(
            "a number where text belongs",
            spec -> {
              spec.process().put("cwd", 5);
              return spec;
            },
            "cwd"),
        fault(
            "a seccomp action that isn't one",
            spec -> {
              spec.linux().putObject("seccomp").put("defaultAction", "SCMP_ACT_NOSUCH");
              return spec;
            },
            "SCMP_ACT_NOSUCH"),
        fault(
            "a sysctl of the host",
            spec -> spec.sysctl("kernel.core_pattern", "core"),
            "kernel.core_pattern"),
        fault(
            "no process at all",
            spec -> {
              spec.json().remove("process");
              return spec;
            },
            "process"));
  }

  @OnlyBrig
  @ParameterizedTest
  @MethodSource("strictFaults")
  void itIsNamedByItsPathAndLeavesNothing(UnaryOperator<OciSpec> fault, List<String> words) {
    refusedWithoutTrace(fault.apply(OciSpec.running("sleep", "600")), words);
  }

  private void refusedWithoutTrace(OciSpec spec, List<String> words) {
    TestContainer container = container(spec);
    Path memory = CgroupsV1.mountPoint("memory").resolve("it").resolve(container.id());
    Map<String, List<String>> before =
        containerd.settings().isBrig() ? Inventory.of(containerd) : Map.of();
    Stdio stdio = Stdio.captured();
    String told = Refusals.words(() -> container.create(stdio));
    assertThat(told).contains(words);
    Eventually.holds("the bundle is gone", () -> !container.bundle().toFile().exists());
    Eventually.holds("the cgroup is gone", () -> !memory.toFile().exists());
    assertThat(Mounts.beneath(containerd.state()))
        .noneMatch(mount -> mount.point().contains(container.id()));
    Eventually.holds(
        "no process of it is left",
        () -> Processes.whoseCommandLineHas(container.id()).isEmpty(),
        () ->
            Processes.whoseCommandLineHas(container.id()).stream()
                .map(Processes::commandLine)
                .toList());
    if (containerd.settings().isBrig()) {
      assertThat(Inventory.leftBehind(containerd, before)).isEmpty();
    }
    // Others are untouched, and so is the next use of the id.
    assertThat(run("echo", "another").stdout()).isEqualTo("another\n");
  }
}
