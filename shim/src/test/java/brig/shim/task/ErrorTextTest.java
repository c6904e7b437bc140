package brig.shim.task;

import static org.assertj.core.api.Assertions.assertThat;

import brig.proto.keeper.Failure;
import org.junit.jupiter.api.Test;

class ErrorTextTest {
  @Test
  void aFailureIsToldWithStepObjectCauseAndRemedy() {
    assertThat(text("mount", "/data", 22, "wrong option", "leave it out"))
        .isEqualTo("mount: /data: wrong option; leave it out");
    assertThat(text("read", "", 0, "it ended", "")).isEqualTo("read: it ended");
  }

  @Test
  void aNumberAloneIsToldInTheKernelsWords() {
    assertThat(text("open source", "/x", 2, "", ""))
        .isEqualTo("open source: /x: no such file or directory");
    assertThat(text("open source", "/x", 9999, "", "")).isEqualTo("open source: /x: errno 9999");
  }

  @Test
  void wordsThatDockerReadsAreSaidOnce() {
    String cause = "exec: \"nothing\": executable file not found in $PATH";
    assertThat(text("exec", "nothing", 2, cause, "")).isEqualTo(cause);
  }

  @Test
  void aMissingProgramExitsLikeInAShellAndOneThatMayNotRunToo() {
    assertThat(ErrorText.exitStatus(Failure.newBuilder().setErrno(2).build())).isEqualTo(127);
    assertThat(ErrorText.exitStatus(Failure.newBuilder().setErrno(13).build())).isEqualTo(126);
    assertThat(ErrorText.exitStatus(Failure.newBuilder().setErrno(8).build())).isEqualTo(126);
  }

  private static String text(String step, String object, int errno, String cause, String remedy) {
    return ErrorText.of(
        Failure.newBuilder()
            .setStep(step)
            .setObject(object)
            .setErrno(errno)
            .setCause(cause)
            .setRemedy(remedy)
            .build());
  }
}
