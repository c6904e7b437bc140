package brig.testing.integration;

import static org.assertj.core.api.Assertions.assertThat;

import brig.testing.Command;
import brig.testing.kernel.Mounts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.junit.jupiter.api.AfterEach;

/** A test whose makings are removed at its end. */
abstract class TidyTest {

  private final Deque<AutoCloseable> made = new ArrayDeque<>();

  /** Closed at the end of the test, in reverse order. */
  final <T extends AutoCloseable> T keep(T resource) {
    made.push(resource);
    return resource;
  }

  /** A directory on the host, open to everybody's eyes; gone at the end, with all that is in it. */
  final Path place(String name) {
    try {
      Path place = Files.createTempDirectory("brig-" + name + "-").toRealPath();
      keep(() -> remove(place));
      return Files.setPosixFilePermissions(place, PosixFilePermissions.fromString("rwxr-xr-x"));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void remove(Path place) {
    List<Mounts.Entry> mounts = Mounts.beneath(place);
    Mounts.unmountBeneath(place);
    Command.of("rm", "-rf", "--one-file-system", place.toString()).run().orFail();
    assertThat(mounts).as("mounts that the test has left").isEmpty();
  }

  @AfterEach
  final void removeWhatWasMade() {
    List<Throwable> failures = new ArrayList<>();
    while (!made.isEmpty()) {
      try {
        made.pop().close();
      } catch (Exception | AssertionError e) {
        failures.add(e);
      }
    }
    assertThat(failures).as("what the test made is removed").isEmpty();
  }
}
