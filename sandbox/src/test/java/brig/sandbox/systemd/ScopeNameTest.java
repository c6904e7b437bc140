package brig.sandbox.systemd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.sandbox.BrigException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

final class ScopeNameTest {

  @ParameterizedTest
  @CsvSource({
    "system.slice:ctr:a,            system.slice/ctr-a.scope",
    ":ctr:a,                        system.slice/ctr-a.scope",
    "-.slice:ctr:a,                 ctr-a.scope",
    "user.slice::a,                 user.slice/a.scope",
    "kubepods-burstable-pod12_3.slice:cri-containerd:4f, "
        + "kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod12_3.slice/cri-containerd-4f.scope"
  })
  void thePathFollowsFromTheName(String asked, String path) throws BrigException {
    assertThat(ScopeName.of(asked).map(ScopeName::path)).contains(path);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "/a/b", "a/b", "/a:b:c", "a:b"})
  void otherPathsAskForNone(String path) throws BrigException {
    assertThat(ScopeName.of(path)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a:b:c",
        "-a.slice:b:c",
        "a-.slice:b:c",
        "a--b.slice:b:c",
        ".slice:b:c",
        "a/b.slice:b:c",
        "../a.slice:b:c",
        "a.slice:b:",
        "a.slice:b:c/d",
        "a.slice:b:c d",
        "a.slice:b:c.slice"
      })
  void whatCanBeNoUnitIsRefused(String path) {
    assertThatThrownBy(() -> ScopeName.of(path))
        .isInstanceOf(BrigException.class)
        .hasMessageStartingWith("plan: linux.cgroupsPath: \"" + path + "\"");
  }

  @Test
  void aNameThatIsTooLongIsRefused() {
    assertThatThrownBy(() -> ScopeName.of("a.slice:b:" + "c".repeat(250)))
        .hasMessageContaining("can't be the name of a unit");
  }
}
