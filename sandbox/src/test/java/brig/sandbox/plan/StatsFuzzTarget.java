package brig.sandbox.plan;

import brig.proto.keeper.FileContent;
import brig.proto.keeper.HostFacts;
import brig.proto.plan.CgroupDir;
import brig.sandbox.BrigException;
import com.google.protobuf.ByteString;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** What the kernel's files say is measured, or not: no content is a reason to fail. */
public final class StatsFuzzTarget {
  private static final List<List<CgroupDir>> HOSTS =
      List.of(dirs(Fixture.hostV1()), dirs(Fixture.hostV2()));

  private StatsFuzzTarget() {}

  private static List<CgroupDir> dirs(HostFacts.Builder host) {
    try {
      return Fixture.plan(host, Fixture.input(Fixture.spec("", ""))).cgroups();
    } catch (BrigException e) {
      throw new IllegalStateException(e);
    }
  }

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    FileContent content =
        FileContent.newBuilder().setExists(true).setContent(ByteString.copyFrom(bytes)).build();
    BlockDevices devices = BlockDevices.parse(new String(bytes, StandardCharsets.UTF_8));
    for (List<CgroupDir> dirs : HOSTS) {
      Stats.parse(dirs, Stats.statsFiles(dirs).stream().map(file -> content).toList(), devices);
    }
  }
}
