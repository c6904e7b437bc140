package brig.sandbox.ids;

import java.util.ArrayList;
import java.util.List;

/**
 * Ids that the host has given away: a line of /etc/subuid or /etc/subgid.
 *
 * @param owner user name or uid
 */
public record SubIds(String owner, long first, long size) {
  /**
   * Reads such a file. Lines that are not of the form {@code owner:first:size} give nobody anything
   * and are skipped, as by shadow's own tools.
   */
  public static List<SubIds> parse(String text) {
    List<SubIds> all = new ArrayList<>();
    for (String line : text.split("\n", -1)) {
      String[] fields = line.strip().split(":", -1);
      if (fields.length == 3 && isNumber(fields[1]) && isNumber(fields[2])) {
        all.add(new SubIds(fields[0], Long.parseLong(fields[1]), Long.parseLong(fields[2])));
      }
    }
    return all;
  }

  private static boolean isNumber(String text) {
    return !text.isEmpty()
        && text.length() <= 10
        && text.chars().allMatch(c -> c >= '0' && c <= '9');
  }
}
