package brig.sandbox.plan;

import brig.proto.keeper.CgroupMount;
import brig.proto.keeper.HostFacts;
import brig.proto.keeper.Source;
import brig.proto.keeper.SourceReport;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.Spec;
import brig.sandbox.spec.SpecParser;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.BiConsumer;

/** Inputs of planning as tests need them: hosts, specs, and what native would report. */
final class Fixture {
  static final IdRange RANGE = new IdRange(0x30000000L, 65536);

  private Fixture() {}

  static HostFacts.Builder hostV1() {
    HostFacts.Builder host = host();
    for (String controller :
        List.of("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids")) {
      host.addCgroups(
          CgroupMount.newBuilder()
              .setMountPoint("/sys/fs/cgroup/" + controller)
              .addControllers(controller));
    }
    host.addCgroups(
        CgroupMount.newBuilder()
            .setMountPoint("/sys/fs/cgroup/systemd")
            .addControllers("name=systemd"));
    host.addCgroups(CgroupMount.newBuilder().setMountPoint("/sys/fs/cgroup/unified").setV2(true));
    return host;
  }

  static HostFacts.Builder hostV2() {
    return host()
        .addCgroups(
            CgroupMount.newBuilder()
                .setMountPoint("/sys/fs/cgroup")
                .setV2(true)
                .addAllControllers(
                    List.of("cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma")));
  }

  private static HostFacts.Builder host() {
    return HostFacts.newBuilder()
        .setKernelRelease("6.18.0")
        .setMachine("x86_64")
        .setLandlockAbi(7)
        .setPageSize(4096)
        .setLastCapability(40)
        .setBounding(0x1ff_ffff_ffffL);
  }

  static byte[] resource(String name) {
    try (InputStream in =
        Objects.requireNonNull(Fixture.class.getResourceAsStream("/brig/sandbox/" + name))) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  static Spec spec(String json) throws BrigException {
    return SpecParser.parse(json.getBytes(StandardCharsets.UTF_8));
  }

  /** A small whole spec with {@code linux} and {@code rest} put in. */
  static Spec spec(String linux, String rest) throws BrigException {
    return spec(
        """
        {"ociVersion": "1.2.0", "root": {"path": "rootfs"},
         "process": {"args": ["sh"], "cwd": "/"},
         "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]%s}%s}
        """
            .formatted(linux, rest));
  }

  static CreateInput input(Spec spec) {
    return input(
        spec,
        new RootfsMount(
            "overlay",
            "overlay",
            "",
            List.of("index=off", "workdir=/s/2/work", "upperdir=/s/2/fs", "lowerdir=/s/1/fs")));
  }

  static CreateInput input(Spec spec, RootfsMount... rootfs) {
    return new CreateInput(
        "default",
        "c1",
        "/run/b/c1",
        "brig",
        spec,
        List.of(rootfs),
        false,
        RANGE,
        Optional.empty());
  }

  static CreateInput inPod(CreateInput in, PodUserNamespace pod) {
    return new CreateInput(
        in.containerdNamespace(),
        in.id(),
        in.bundle(),
        in.className(),
        in.spec(),
        in.rootfs(),
        in.terminal(),
        in.idRange(),
        Optional.of(pod));
  }

  /** What native would say of ordinary files: everything opened, everything can be idmapped. */
  static List<SourceReport> reports(SourcePlan sources) {
    return reports(sources, (source, report) -> {});
  }

  static List<SourceReport> reports(
      SourcePlan sources, BiConsumer<Source, SourceReport.Builder> change) {
    List<SourceReport> reports = new ArrayList<>();
    for (Source source : sources.sources()) {
      SourceReport.Builder report =
          SourceReport.newBuilder()
              .setHandle(source.getHandle())
              .setCanonicalPath(source.getPath())
              .setMode(0040755)
              .setFsMagic(0xef53)
              .setFsType("ext4")
              .setCanIdmap(true);
      change.accept(source, report);
      reports.add(report.build());
    }
    return reports;
  }

  static PlannedContainer plan(HostFacts.Builder host, CreateInput in) throws BrigException {
    return plan(host, SandboxConfig.DEFAULT, in, (source, report) -> {});
  }

  static PlannedContainer plan(CreateInput in) throws BrigException {
    return plan(hostV1(), in);
  }

  static PlannedContainer plan(
      HostFacts.Builder host,
      SandboxConfig config,
      CreateInput in,
      BiConsumer<Source, SourceReport.Builder> change)
      throws BrigException {
    Planner planner = new Planner(host.build(), config);
    SourcePlan sources = planner.sources(in);
    Optional<SourcePlan> more = planner.moreSources(in, sources, reports(sources, change));
    SourcePlan last = more.orElse(sources);
    return planner.plan(in, last, reports(last, change));
  }
}
