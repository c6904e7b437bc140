package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.Containerd;
import brig.testing.Names;
import brig.testing.client.TestContainer;
import brig.testing.kernel.CgroupsV1;
import brig.testing.proto.runc.Options;
import brig.testing.spec.OciSpec;
import com.google.protobuf.Any;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** What runtime options and their absence do, as clients give them. */
@EachContainerd
@OnlyBrig
class OptionsTest extends ClientTest {

  OptionsTest(Containerd containerd) {
    super(containerd);
  }

  private TestContainer container(String cgroup) {
    Options options = Options.newBuilder().setShimCgroup(cgroup).build();
    Any any =
        Any.newBuilder()
            .setTypeUrl("containerd.runc.v1.Options")
            .setValue(options.toByteString())
            .build();
    return keep(client.container(Names.fresh("c"), OciSpec.running("sleep", "600"), any));
  }

  @Test
  void theShimRunsInTheCgroupThatTheOptionsName() throws IOException {
    String name = "/" + Names.fresh("shim");
    Path group = CgroupsV1.mountPoint("memory").resolve(name.substring(1));
    Files.createDirectory(group);
    keep(() -> Command.of("rmdir", group.toString()).run());
    TestContainer container = container(name);
    var init = container.start();
    String keeper = init.proc().status("PPid");
    assertThat(Files.readAllLines(group.resolve("cgroup.procs"))).containsExactly(keeper);
    assertThat(CgroupsV1.of(init.pid()).directory("memory")).isNotEqualTo(group);
  }

  @Test
  void aCgroupThatIsNotThereIsSaid() {
    assertThat(Refusals.words(() -> container("/no-such-cgroup").create()))
        .contains("enter shim_cgroup: /no-such-cgroup");
  }

  @Test
  void ctrsIdMapsAreTaken() {
    // Beyond the pools of all of this run's daemons.
    String map = "0:2200000000:65536";
    Command.Result result =
        containerd
            .ctr()
            .run(Names.fresh("c"))
            .flags("--uidmap", map, "--gidmap", map)
            .foreground("cat", "/proc/self/uid_map")
            .run()
            .orFail();
    assertThat(result.stdout().trim().split(" +")).containsExactly("0", "2200000000", "65536");
  }

  @Test
  void aLowPortIsRootsAndNotEveryUsersInANetworkOfTheContainersOwn() {
    String listens =
        "nc -l -p 80 & until grep -qs ':0050 ' /proc/net/tcp /proc/net/tcp6;"
            + " do kill -0 $! 2>/dev/null || exit 9; done; kill $!";
    assertThat(run(listening(listens)).status()).isZero();
    assertThat(run(listening(listens).user(1000, 1000)).status()).isEqualTo(9);
  }

  private static OciSpec listening(String script) {
    return OciSpec.running("sh", "-c", script).capabilities(OciSpec.DEFAULT_CAPABILITIES);
  }

  @Test
  void aCgroupThatWasLeftBehindEmptyIsNoObstacle() throws IOException {
    String id = Names.fresh("c");
    Path left = CgroupsV1.mountPoint("memory").resolve(Containerd.NAMESPACE).resolve(id);
    Files.createDirectories(left);
    TestContainer container =
        keep(client.container(id, OciSpec.running("sleep", "600"), Any.getDefaultInstance()));
    assertThat(CgroupsV1.of(container.start().pid()).directory("memory")).isEqualTo(left);
  }
}
