package brig.testing.faults;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * What differs between two footprints, and how much of it is allowed.
 *
 * @param allowed more than before
 */
public record Growth(String what, String unit, long before, long after, long allowed) {

  /**
   * The daemon's heap has a bound that it may come to use, and its compiler goes on for a while;
   * everything else is as it was.
   */
  static List<Growth> between(Footprint before, Footprint after) {
    List<Growth> rows = new ArrayList<>();
    memory(rows, "brigd", before.daemon(), after.daemon(), 16 * 1024, 4, 4);
    memory(rows, "keepers of pods that stay", before.keepers(), after.keepers(), 256, 0, 0);
    rows.add(new Growth("processes", "", before.processes(), after.processes(), 0));
    rows.add(new Growth("mounts", "", before.mounts(), after.mounts(), 0));
    rows.add(new Growth("control groups", "", before.groups(), after.groups(), 0));
    rows.add(new Growth("files in run, var, sockets", "", before.files(), after.files(), 1));
    rows.add(new Growth("  their size", "kB", before.kilobytes(), after.kilobytes(), 2048));
    rows.add(new Growth("ranges of ids", "", before.ranges(), after.ranges(), 0));
    return rows;
  }

  private static void memory(
      List<Growth> rows,
      String who,
      Footprint.Memory before,
      Footprint.Memory after,
      long kilobytes,
      long threads,
      long descriptors) {
    rows.add(new Growth(who + ": RSS", "kB", before.rss(), after.rss(), kilobytes));
    rows.add(new Growth(who + ": PSS", "kB", before.pss(), after.pss(), kilobytes));
    rows.add(new Growth(who + ": threads", "", before.threads(), after.threads(), threads));
    rows.add(
        new Growth(
            who + ": descriptors", "", before.descriptors(), after.descriptors(), descriptors));
  }

  public boolean isAllowed() {
    return after <= before + allowed;
  }

  @Override
  public String toString() {
    return String.format(
        Locale.ROOT,
        "%-40s %10d %10d %+8d  (at most %+d)%s",
        unit.isEmpty() ? what : what + ", " + unit,
        before,
        after,
        after - before,
        allowed,
        isAllowed() ? "" : "  GREW");
  }
}
