package brig.shim.task;

import brig.proto.keeper.Failure;
import java.util.Map;

/**
 * Native's failures in the words that containerd's clients know.
 *
 * <p>Docker reads exit codes out of the text: 127 where it finds "executable file not found" or "no
 * such file or directory" beside the command's name, 126 for "permission denied".
 */
final class ErrorText {
  static final int ENOENT = 2;
  static final int ESRCH = 3;
  static final int EBUSY = 16;
  private static final int NOT_FOUND_STATUS = 127;
  private static final int NOT_EXECUTABLE_STATUS = 126;
  private static final int ENOTDIR = 20;

  /** The words of strerror(3), as they are in lower case. Numbers from asm-generic/errno-base.h. */
  private static final Map<Integer, String> WORDS =
      Map.ofEntries(
          Map.entry(1, "operation not permitted"),
          Map.entry(ENOENT, "no such file or directory"),
          Map.entry(ESRCH, "no such process"),
          Map.entry(5, "input/output error"),
          Map.entry(7, "argument list too long"),
          Map.entry(8, "exec format error"),
          Map.entry(11, "resource temporarily unavailable"),
          Map.entry(12, "cannot allocate memory"),
          Map.entry(13, "permission denied"),
          Map.entry(EBUSY, "device or resource busy"),
          Map.entry(17, "file exists"),
          Map.entry(18, "invalid cross-device link"),
          Map.entry(19, "no such device"),
          Map.entry(ENOTDIR, "not a directory"),
          Map.entry(21, "is a directory"),
          Map.entry(22, "invalid argument"),
          Map.entry(24, "too many open files"),
          Map.entry(26, "text file busy"),
          Map.entry(28, "no space left on device"),
          Map.entry(30, "read-only file system"),
          Map.entry(40, "too many levels of symbolic links"));

  private ErrorText() {}

  /** {@code step: object: cause; remedy}. */
  static String of(Failure failure) {
    StringBuilder text = new StringBuilder();
    String cause = cause(failure);
    // A cause that names step and object by itself, as that of an exec does, stands alone.
    if (!cause.startsWith(failure.getStep() + ": ")) {
      text.append(failure.getStep()).append(": ");
      if (!failure.getObject().isEmpty()) {
        text.append(failure.getObject()).append(": ");
      }
    }
    text.append(cause);
    if (!failure.getRemedy().isEmpty()) {
      text.append("; ").append(failure.getRemedy());
    }
    return text.toString();
  }

  private static String cause(Failure failure) {
    if (!failure.getCause().isEmpty()) {
      return failure.getCause();
    }
    return WORDS.getOrDefault(failure.getErrno(), "errno " + failure.getErrno());
  }

  /** The exit status of a process whose program couldn't be started, as shells give it. */
  static int exitStatus(Failure failure) {
    return failure.getErrno() == ENOENT || failure.getErrno() == ENOTDIR
        ? NOT_FOUND_STATUS
        : NOT_EXECUTABLE_STATUS;
  }
}
