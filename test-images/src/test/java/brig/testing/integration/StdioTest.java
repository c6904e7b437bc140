package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Containerd;
import brig.testing.Eventually;
import brig.testing.Names;
import brig.testing.client.Stdio;
import brig.testing.client.TestContainer;
import brig.testing.client.TestProcess;
import brig.testing.faults.Sequence;
import brig.testing.kernel.Fifo;
import brig.testing.kernel.Processes;
import brig.testing.spec.OciSpec;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.Test;

/** Streams between a process and its client. */
@OneContainerd
class StdioTest extends ClientTest {

  private static final long BIG = 256L << 20;

  private final Path directory;

  StdioTest(Containerd containerd) {
    super(containerd);
    directory = place("io");
  }

  @Test
  void aQuarterGibibyteArrivesToTheByte() {
    AtomicLong position = new AtomicLong();
    AtomicLong firstWrong = new AtomicLong(-1);
    Stdio stdio =
        Stdio.streaming(block -> {
          long at = position.getAndAdd(block.length);
          for (int i = 0; i < block.length && firstWrong.get() < 0; i++) {
            long byteAt = at + i;
            if (!Sequence.isRight(byteAt, block[i])) {
              firstWrong.set(byteAt);
            }
          }
        });
    TestContainer container = container("brig-probe", "fill", Long.toString(BIG));
    assertThat(container.run(stdio).status()).isZero();
    stdio.stdout();
    assertThat(firstWrong).hasValue(-1);
    assertThat(position).hasValue(BIG);
  }

  @Test
  void bothStreamsArriveWholeWhenWrittenAtOnce() {
    Ran ran =
        run(
            "sh",
            "-c",
            "(i=0; while [ $i -lt 2000 ]; do echo out $i; i=$((i+1)); done) & "
                + "(i=0; while [ $i -lt 2000 ]; do echo err $i >&2; i=$((i+1)); done) & wait");
    assertThat(ran.stdout().lines()).hasSize(2000).endsWith("out 1999");
    assertThat(ran.stderr().lines()).hasSize(2000).endsWith("err 1999");
  }

  @Test
  void aMebibyteOfStdinArrivesToTheByte() throws IOException {
    TestContainer container = container("md5sum");
    Stdio stdio = keep(Stdio.interactive());
    TestProcess init = container.create(stdio);
    init.start();
    byte[] data = new byte[1 << 20];
    new java.util.Random(1).nextBytes(data);
    try (RandomAccessFile stdin = stdio.openStdin()) {
      stdin.write(data);
      // Open for both directions, this end would otherwise hold the FIFO: it goes once all has been
      // read.
      Eventually.holds("stdin is read", () -> bytesWaiting(stdio.stdinPath()) == 0);
    }
    init.closeStdin();
    assertThat(init.await().status()).isZero();
    assertThat(stdio.stdout()).startsWith(md5(data));
  }

  private static int bytesWaiting(String fifo) {
    try (var reader = new FileInputStream(fifo)) {
      return reader.available();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  private static String md5(byte[] data) {
    try {
      return java.util.HexFormat.of()
          .formatHex(java.security.MessageDigest.getInstance("MD5").digest(data));
    } catch (java.security.NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }

  @Test
  void aClientThatLeavesStdinDoesNotEndIt() throws IOException {
    TestContainer container = container("cat");
    Stdio stdio = keep(Stdio.interactive());
    TestProcess init = container.create(stdio);
    init.start();
    try (RandomAccessFile stdin = stdio.openStdin()) {
      stdin.write("first client\n".getBytes(StandardCharsets.UTF_8));
      stdio.awaitStdout("first client\n");
    }
    try (RandomAccessFile stdin = stdio.openStdin()) {
      stdin.write("second client\n".getBytes(StandardCharsets.UTF_8));
      stdio.awaitStdout("second client\n");
    }
    init.closeStdin();
    assertThat(init.await().status()).isZero();
  }

  @Test
  void aReaderThatComesBackLosesNothing() throws IOException {
    Path stdout = Fifo.make(directory.resolve("out"));
    TestContainer container =
        container(
            "sh",
            "-c",
            "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); usleep 2000; done");
    StringBuilder text = new StringBuilder();
    Path stderr = Fifo.make(directory.resolve("err"));
    // Open before the create, as every client's end is.
    try (RandomAccessFile errors = new RandomAccessFile(stderr.toFile(), "rw")) {
      TestProcess init;
      try (RandomAccessFile first = new RandomAccessFile(stdout.toFile(), "rw")) {
        init = container.start(Stdio.of("", stdout.toString(), stderr.toString()));
        while (text.indexOf("line 20\n") < 0) {
          text.append((char) first.read());
        }
      }
      try (FileInputStream second = new FileInputStream(stdout.toFile())) {
        text.append(new String(second.readAllBytes(), StandardCharsets.UTF_8));
      }
      assertThat(init.await().status()).isZero();
      assertThat(text.toString().lines()).hasSize(300).endsWith("line 299");
      assertThat(errors.getChannel().isOpen()).isTrue();
    }
  }

  @Test
  void noStdioIsDevNull() {
    TestContainer container =
        container(
            "sh",
            "-c",
            "read x; echo nobody hears; for fd in 0 1 2; do"
                + " [ $(readlink /proc/$$/fd/$fd) = /dev/null ] || exit 6; done; exit 5");
    assertThat(container.run(Stdio.none()).status()).isEqualTo(5);
  }

  @Test
  void stdoutCanBeOpenedAgainByPath() {
    Ran ran =
        run(
            "sh",
            "-c",
            "echo by path > /dev/stdout; echo by proc > /proc/self/fd/1; echo err > /dev/stderr");
    assertThat(ran.stdout()).isEqualTo("by path\nby proc\n");
    assertThat(ran.stderr()).isEqualTo("err\n");
  }

  @Test
  void anOutputFileIsMadeAndAppendedTo() throws IOException {
    Path file = directory.resolve("made/log");
    String uri = "file://" + file;
    TestContainer container = container("sh", "-c", "echo out; echo err >&2");
    assertThat(container.run(Stdio.of("", uri, uri)).status()).isZero();
    assertThat(file).content().hasLineCount(2).contains("out\n", "err\n");
    container.delete();
    assertThat(container.run(Stdio.of("", uri, uri)).status()).isZero();
    assertThat(file).content().hasLineCount(4);
  }

  @Test
  void aLoggerProgramGetsTheStreamsAndTheNames() throws IOException {
    Path log = directory.resolve("logged");
    Path logger = directory.resolve("logger");
    Files.writeString(
        logger,
        """
        #!/bin/sh
        echo "$CONTAINER_NAMESPACE $CONTAINER_ID $*" > %1$s.names
        exec 5>&-
        cat <&4 > %1$s.err &
        cat <&3 > %1$s.out
        wait
        """
            .formatted(log));
    Files.setPosixFilePermissions(logger, PosixFilePermissions.fromString("rwxr-xr-x"));
    String uri = "binary://" + logger + "?key=value";
    TestContainer container = container("sh", "-c", "echo out; echo err >&2");
    TestProcess init = container.start(Stdio.of("", uri, uri));
    assertThat(init.await().status()).isZero();
    init.delete();
    assertThat(directory.resolve("logged.names"))
        .hasContent(Containerd.NAMESPACE + " " + container.id() + " key value\n");
    Eventually.holds(
        "the logger has it all",
        () ->
            contentOf(directory.resolve("logged.out")).equals("out\n")
                && contentOf(directory.resolve("logged.err")).equals("err\n"));
  }

  private static String contentOf(Path file) {
    try {
      return Files.exists(file) ? Files.readString(file) : "";
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }

  @Test
  void attachedOutputOfATerminalHasNoStderr() {
    TestContainer container =
        container(OciSpec.running("sh", "-c", "echo out; echo err >&2; tty").terminal());
    Stdio stdio = Stdio.terminal();
    assertThat(container.run(stdio).status()).isZero();
    assertThat(stdio.stdout()).contains("out\r\n", "err\r\n", "/dev/pts/0");
  }

  @Test
  void theTerminalOfAnUnprivilegedUserIsItsOwn() {
    TestContainer container =
        container(
            OciSpec.running("sh", "-c", "stat -c %u $(tty); echo again > $(tty)")
                .terminal()
                .user(1000, 1000));
    Stdio stdio = Stdio.terminal();
    assertThat(container.run(stdio).status()).isZero();
    assertThat(stdio.stdout()).isEqualTo("1000\r\nagain\r\n");
  }

  @Test
  void nothingIsLeftOpenInTheShimAfterManyExecs() {
    TestContainer container = sleeping();
    TestProcess init = container.start();
    int shim = Processes.parent(init.pid());
    exec(container, "true");
    long before = openDescriptors(shim);
    for (int i = 0; i < 10; i++) {
      exec(container, "echo", Names.fresh("x"));
    }
    Eventually.holds(
        "as many descriptors as before",
        () -> openDescriptors(shim) <= before,
        () -> openDescriptors(shim));
  }

  private static long openDescriptors(int pid) {
    return new brig.testing.kernel.Proc(pid).descriptors().size();
  }
}
