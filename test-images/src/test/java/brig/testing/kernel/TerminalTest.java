package brig.testing.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class TerminalTest {

  @Test
  void aProgramSeesTheSizeAndTheInput() throws InterruptedException {
    try (Terminal terminal = new Terminal()) {
      terminal.resize(132, 43);
      Process process =
          terminal.start(List.of("sh", "-c", "stty size; read line; echo got $line"), Map.of());
      terminal.await("43 132");
      terminal.type("typed\n");
      terminal.await("got typed");
      assertThat(process.waitFor(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  @Test
  void outputOfALaterProgramIsKeptToo() throws InterruptedException {
    try (Terminal terminal = new Terminal()) {
      assertThat(terminal.start(List.of("echo", "one"), Map.of()).waitFor()).isZero();
      assertThat(terminal.start(List.of("echo", "two"), Map.of()).waitFor()).isZero();
      terminal.await("one\r\ntwo\r\n");
    }
  }
}
