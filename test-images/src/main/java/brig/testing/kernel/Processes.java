package brig.testing.kernel;

import brig.testing.Eventually;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import jnr.constants.platform.Signal;
import jnr.posix.POSIX;
import jnr.posix.POSIXFactory;

/** All processes of this machine, and signals to them. */
public final class Processes {

  static final POSIX POSIX = POSIXFactory.getNativePOSIX();

  private Processes() {}

  /** Host pids of all processes there are. */
  public static List<Integer> all() {
    List<Integer> pids = new ArrayList<>();
    try (Stream<Path> entries = Files.list(Path.of("/proc"))) {
      entries
          .map(entry -> entry.getFileName().toString())
          .filter(name -> name.chars().allMatch(Character::isDigit))
          .forEach(name -> pids.add(Integer.parseInt(name)));
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
    return pids;
  }

  /**
   * The command line, arguments separated by blanks; empty for a process that is gone or a kernel
   * thread.
   */
  public static String commandLine(int pid) {
    return contentOf(pid, "cmdline").map(text -> text.replace('\0', ' ').trim()).orElse("");
  }

  public static List<Integer> whoseCommandLineHas(String part) {
    return all().stream().filter(pid -> commandLine(pid).contains(part)).toList();
  }

  public static boolean exists(int pid) {
    return Files.exists(Path.of("/proc", Integer.toString(pid)));
  }

  /** Alive: there, and neither a zombie nor dead. */
  public static boolean alive(int pid) {
    return contentOf(pid, "stat")
        .map(stat -> stat.substring(stat.lastIndexOf(')') + 2).charAt(0))
        .filter(state -> state != 'Z' && state != 'X')
        .isPresent();
  }

  /** Waits until a signal has stopped it. */
  public static void awaitStopped(int pid) {
    Eventually.holds(
        "process " + pid + " is stopped",
        () ->
            contentOf(pid, "stat")
                .filter(stat -> stat.charAt(stat.lastIndexOf(')') + 2) == 'T')
                .isPresent());
  }

  public static int parent(int pid) {
    return contentOf(pid, "stat")
        .map(stat -> stat.substring(stat.lastIndexOf(')') + 2).split(" ")[1])
        .map(Integer::parseInt)
        .orElseThrow(() -> new AssertionError("no process " + pid));
  }

  public static List<Integer> childrenOf(int pid) {
    return all().stream()
        .filter(other -> contentOf(other, "stat").isPresent())
        .filter(other ->
            contentOf(other, "stat")
                .map(stat -> stat.substring(stat.lastIndexOf(')') + 2).split(" ")[1])
                .filter(parent -> parent.equals(Integer.toString(pid)))
                .isPresent())
        .toList();
  }

  public static void signal(int pid, Signal signal) {
    if (POSIX.kill(pid, signal.intValue()) != 0) {
      throw new AssertionError("kill(" + pid + ", " + signal + "): errno " + POSIX.errno());
    }
  }

  /**
   * Ends, by pid, every process whose command line has this text (shims name their containerd's
   * socket).
   */
  public static void endAllNaming(String part) {
    int self = POSIX.getpid();
    for (int pid : whoseCommandLineHas(part)) {
      if (pid != self) {
        POSIX.kill(pid, Signal.SIGKILL.intValue());
      }
    }
  }

  static Optional<String> contentOf(int pid, String file) {
    try {
      return Optional.of(
          Files.readString(
              Path.of("/proc", Integer.toString(pid), file), StandardCharsets.ISO_8859_1));
    } catch (NoSuchFileException e) {
      return Optional.empty();
    } catch (IOException e) {
      // ESRCH: it ended between open and read.
      return Optional.empty();
    }
  }
}
