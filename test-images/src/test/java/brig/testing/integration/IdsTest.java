package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.kernel.Proc;
import brig.testing.kernel.Proc.Mapping;
import brig.testing.spec.OciSpec;
import org.junit.jupiter.api.Test;

/** What [ids] of brig.toml gives a pod, and what a user namespace takes away from it. */
@OneContainerd
@OnlyBrig
class IdsTest extends OwnContainerd {

  private static final int IDS = 2048;

  IdsTest(Containerd containerd) {
    super(containerd, "ids_per_pod = " + IDS + "\nextra_ids = [70000, 65534]\n");
  }

  @Test
  void aPodGetsAsManyIdsAsAreConfiguredAndTheSingleOnesBehindThem() {
    OciSpec spec = OciSpec.running("sleep", "600").user(70_000, 65_534, 2_047);
    Proc init = container(spec).start().proc();
    Mapping range = init.uidMap().getFirst();
    assertThat(range.inside()).isZero();
    assertThat(range.length()).isEqualTo(IDS);
    assertThat(init.uidMap().stream().skip(1).map(Mapping::inside))
        .containsExactlyInAnyOrder(70_000L, 65_534L);
    assertThat(init.uidMap().stream().skip(1)).allMatch(single -> single.length() == 1);
    assertThat(init.gidMap()).isEqualTo(init.uidMap());
    long outside =
        init.uidMap().stream()
            .filter(map -> map.inside() == 70_000)
            .findFirst()
            .orElseThrow()
            .outside();
    assertThat(init.status("Uid").split("\t")).containsOnly(Long.toString(outside));
    assertThat(outside).isBetween(range.outside() + IDS, range.outside() + IDS + 1);
    assertThat(init.status("Groups")).isEqualTo(Long.toString(range.outside() + 2_047));
  }

  @Test
  void anIdBeyondThemIsNamedWithWhatHelps() {
    assertThat(Refusals.words(() -> container(OciSpec.running("true").user(80_000, 0)).create()))
        .contains("80000", "extra_ids");
    assertThat(Refusals.words(() -> container(OciSpec.running("true").user(0, 0, IDS)).create()))
        .contains(Integer.toString(IDS), "extra_ids");
  }

  @Test
  void aNetworkThatBelongsToTheHostGivesNeitherRawSocketsNorLinks() {
    String network = networkOfTheHosts().toString();
    OciSpec sockets = OciSpec.running("brig-probe", "raw-socket").joinNamespace("network", network);
    assertThat(run(sockets).stdout()).contains("raw socket\tEPERM", "packet socket\tEPERM");
    OciSpec links =
        OciSpec.running("ip", "link", "set", "lo", "up").joinNamespace("network", network);
    assertThat(run(links).stderr()).contains("Operation not permitted");
    // One made with the container's user namespace gives both.
    assertThat(run("brig-probe", "raw-socket").stdout())
        .contains("raw socket\tok", "packet socket\tok");
  }
}
