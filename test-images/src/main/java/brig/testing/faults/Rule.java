package brig.testing.faults;

import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.Optional;

/**
 * Which system calls meet a fault, and what becomes of them.
 *
 * @param kind what the call takes of the host
 * @param role whose calls
 * @param beneath only calls about paths beneath this one; empty: all
 * @param first the first one that is met, from 1
 * @param times how many are met from there on
 * @param fate an error number, or {@code +} and milliseconds
 */
public record Rule(
    Kind kind, Role role, Optional<Path> beneath, long first, long times, String fate) {

  /** What a call takes of the host. */
  public enum Kind {
    /** Room in a file system: new names and bytes. */
    SPACE,
    DESCRIPTOR,
    /** A process or a thread. */
    PROCESS,
    /** A disk's answer. */
    SYNC
  }

  /** Who calls. */
  public enum Role {
    LAUNCHER,
    KEEPER,
    STAGE,
    SUPERVISOR,
    BRIGD,
    /** Any of these. */
    BRIG
  }

  private static final long ALWAYS = Long.MAX_VALUE;

  /** Numbers of {@code errno.h}, the same on all architectures. */
  private static final int EAGAIN = 11;

  private static final int EMFILE = 24;
  private static final int ENOSPC = 28;
  private static final int EROFS = 30;

  public static Rule noRoom(Path beneath) {
    return room(beneath, ENOSPC);
  }

  public static Rule readOnly(Path beneath) {
    return room(beneath, EROFS);
  }

  private static Rule room(Path beneath, int errno) {
    return new Rule(
        Kind.SPACE, Role.BRIG, Optional.of(beneath), 1, ALWAYS, Integer.toString(errno));
  }

  public static Rule noDescriptor(Role role) {
    return new Rule(Kind.DESCRIPTOR, role, Optional.empty(), 1, ALWAYS, Integer.toString(EMFILE));
  }

  public static Rule noProcess(Role role) {
    return new Rule(Kind.PROCESS, role, Optional.empty(), 1, ALWAYS, Integer.toString(EAGAIN));
  }

  public static Rule slow(Kind kind, Path beneath, Duration time) {
    return new Rule(kind, Role.BRIG, Optional.of(beneath), 1, ALWAYS, "+" + time.toMillis());
  }

  /** From this call on. */
  public Rule from(long call) {
    return new Rule(kind, role, beneath, call, times, fate);
  }

  public Rule once() {
    return new Rule(kind, role, beneath, first, 1, fate);
  }

  String line() {
    return String.join(
        " ",
        kind.name().toLowerCase(Locale.ROOT),
        role.name().toLowerCase(Locale.ROOT),
        beneath.map(Path::toString).orElse("*"),
        Long.toString(first),
        Long.toString(times),
        fate);
  }
}
