package brig.sandbox.plan;

import brig.proto.keeper.SourceReport;
import brig.sandbox.BrigException;
import java.util.Set;

/**
 * What may be mounted at and beneath the container's {@code /proc}. A runtime reaches labels,
 * sysctls and id maps through procfs, and tools in the container trust what they read there:
 * nothing but procfs itself may stand in its place. Files that describe the machine are the
 * exception, for those who show a container its own share of it (lxcfs).
 */
final class ProcPlaces {

  /** PROC_SUPER_MAGIC of {@code linux/magic.h}. */
  private static final long PROC_MAGIC = 0x9fa0;

  private static final Set<String> DESCRIPTIONS =
      Set.of(
          "/proc/cpuinfo",
          "/proc/diskstats",
          "/proc/loadavg",
          "/proc/meminfo",
          "/proc/slabinfo",
          "/proc/stat",
          "/proc/swaps",
          "/proc/uptime");

  private ProcPlaces() {}

  private static boolean concerns(String destination) {
    return destination.equals("/proc") || destination.startsWith("/proc/");
  }

  /** A file system that is made for the container. */
  static void checkFresh(String field, String destination, String type) throws BrigException {
    if (concerns(destination) && !(destination.equals("/proc") && type.equals("proc"))) {
      throw refused(field, destination, "a " + type);
    }
  }

  /** A file or directory of the host. */
  static void checkBind(String field, String destination, SourceReport source)
      throws BrigException {
    boolean procItself = destination.equals("/proc") && source.getFsMagic() == PROC_MAGIC;
    if (concerns(destination) && !procItself && !DESCRIPTIONS.contains(destination)) {
      throw refused(field, destination, source.getCanonicalPath());
    }
  }

  private static BrigException refused(String field, String destination, String what) {
    return Refusal.invalid(
        field + ".destination",
        destination + " is procfs' own; " + what + " may not stand there",
        "mount it elsewhere; of /proc only "
            + String.join(", ", DESCRIPTIONS.stream().sorted().toList())
            + " can be covered");
  }
}
