package brig.sandbox.plan;

/** Words for the errors that opening a source meets; numbers of asm-generic/errno.h. */
final class Errno {
  private static final int EPERM = 1;
  private static final int ENOENT = 2;
  private static final int EIO = 5;
  private static final int ENXIO = 6;
  private static final int EACCES = 13;
  private static final int ENODEV = 19;
  private static final int ENOTDIR = 20;
  private static final int ENAMETOOLONG = 36;
  private static final int ELOOP = 40;
  private static final int ENOTCONN = 107;
  private static final int ESTALE = 116;

  private Errno() {}

  static boolean isAbsence(int errno) {
    return errno == ENOENT || errno == ENOTDIR || errno == ESTALE;
  }

  static String text(int errno) {
    return switch (errno) {
      case EPERM -> "operation not permitted";
      case ENOENT -> "no such file or directory";
      case EIO -> "input/output error";
      case ENXIO -> "no such device or address";
      case EACCES -> "permission denied";
      case ENODEV -> "no such device";
      case ENOTDIR -> "not a directory";
      case ENAMETOOLONG -> "file name too long";
      case ELOOP -> "too many levels of symbolic links";
      case ENOTCONN -> "transport endpoint is not connected";
      case ESTALE -> "stale file handle";
      default -> "error " + errno;
    };
  }
}
