package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.CgroupOp;
import brig.proto.keeper.FileContent;
import brig.proto.keeper.HostFacts;
import brig.proto.plan.CgroupDir;
import brig.proto.plan.CgroupWrite;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.SpecParser;
import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * The writes that the native tests carry out on real kernels
 * (native/crates/stage/tests/stage/limits) are those that are planned here.
 */
final class RecordedLimitsTest {
  private static final String CREATE =
      """
      "memory": {"limit": 67108864, "reservation": 33554432, "swap": 134217728},
      "cpu": {"shares": 512, "quota": 50000, "period": 100000, "burst": 10000, "cpus": "0",
              "mems": "0"},
      "pids": {"limit": 64},
      "blockIO": {
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 10485760}],
        "throttleWriteBpsDevice": [{"major": 8, "minor": 0, "rate": 20971520}],
        "throttleReadIOPSDevice": [{"major": 8, "minor": 0, "rate": 1000}],
        "throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 2000}]}\
      """;
  private static final String CREATE_V2 =
      CREATE
          + """
          , "hugepageLimits": [{"pageSize": "2MB", "limit": 4194304}],
          "unified": {"memory.high": "50331648", "memory.oom.group": "1"}\
          """;
  private static final String RAISE =
      """
      "memory": {"limit": 268435456, "swap": 536870912}, "cpu": {"quota": 80000},
      "pids": {"limit": -1}\
      """;
  private static final String LOWER =
      """
      "memory": {"limit": 50331648, "swap": 100663296}, "cpu": {"quota": -1, "shares": 1024},
      "pids": {"limit": 32}\
      """;

  @Test
  void limitsOnV1() throws BrigException, IOException {
    HostFacts.Builder host = Fixture.hostV1();
    List<String> writes = new ArrayList<>(create(host, CREATE));
    writes.addAll(
        update("[raise]", host, RAISE, Map.of("memory.memsw.limit_in_bytes", "134217728")));
    writes.addAll(
        update("[lower]", host, LOWER, Map.of("memory.memsw.limit_in_bytes", "536870912")));
    writes.addAll(freeze(host));
    assertThat(writes).isEqualTo(recorded("v1"));
  }

  @Test
  void limitsOnV2() throws BrigException, IOException {
    HostFacts.Builder host = Fixture.hostV2();
    List<String> writes = new ArrayList<>(create(host, CREATE_V2));
    writes.addAll(update("[raise]", host, RAISE, Map.of("cpu.max", "50000 100000")));
    writes.addAll(update("[lower]", host, LOWER, Map.of("cpu.max", "80000 100000")));
    writes.addAll(freeze(host));
    assertThat(writes).isEqualTo(recorded("v2"));
  }

  private static List<String> recorded(String version) throws IOException {
    Path file =
        Path.of(System.getProperty("basedir", "."))
            .resolve("../native/crates/stage/tests/stage/limits")
            .resolve(version);
    return Files.readAllLines(file).stream().filter(line -> !line.startsWith("#")).toList();
  }

  private static PlannedContainer planned(HostFacts.Builder host, String resources)
      throws BrigException {
    return Fixture.plan(
        host,
        Fixture.input(
            Fixture.spec(", \"cgroupsPath\": \"/k/c1\", \"resources\": {" + resources + "}", "")));
  }

  private static List<CgroupDir> dirs(HostFacts.Builder host) throws BrigException {
    return planned(host, "").cgroups();
  }

  private static List<String> create(HostFacts.Builder host, String resources)
      throws BrigException {
    List<String> writes = new ArrayList<>(List.of("[create]"));
    for (CgroupWrite write :
        planned(host, resources).plan().getCreate().getCgroups().getWritesList()) {
      if (!write.getFile().startsWith("devices.")) {
        writes.add(write.getFile() + "=" + write.getValue());
      }
    }
    return writes;
  }

  private static List<String> update(
      String step, HostFacts.Builder host, String resources, Map<String, String> present)
      throws BrigException {
    Planner planner = new Planner(host.build(), SandboxConfig.DEFAULT);
    Resources parsed =
        SpecParser.parseResources(("{" + resources + "}").getBytes(StandardCharsets.UTF_8));
    List<FileContent> current = new ArrayList<>();
    for (String path : planner.updateReads(dirs(host), parsed)) {
      String content = present.get(path.substring(path.lastIndexOf('/') + 1));
      assertThat(content).as(path).isNotNull();
      current.add(
          FileContent.newBuilder()
              .setExists(true)
              .setContent(ByteString.copyFromUtf8(content + "\n"))
              .build());
    }
    return lines(step, planner.update(dirs(host), parsed, current));
  }

  private static List<String> freeze(HostFacts.Builder host) throws BrigException {
    Planner planner = new Planner(host.build(), SandboxConfig.DEFAULT);
    List<String> writes = lines("[pause]", planner.pause("c1", dirs(host)).getWritesList());
    writes.addAll(lines("[resume]", planner.resume("c1", dirs(host)).getWritesList()));
    return writes;
  }

  private static List<String> lines(String step, List<CgroupOp.Write> writes) {
    List<String> lines = new ArrayList<>(List.of(step));
    for (CgroupOp.Write write : writes) {
      lines.add(write.getPath().replaceFirst(".*/", "") + "=" + write.getValue());
    }
    return lines;
  }
}
