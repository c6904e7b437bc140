package brig.sandbox.ids;

import java.util.List;

/**
 * One line of /etc/subuid or /etc/subgid: ids that the host has given to a user.
 *
 * @param owner user name or uid
 */
public record SubIds(String owner, long first, long size) {
  /** Reads such a file; lines that are not of the form {@code owner:first:size} are skipped. */
  public static List<SubIds> parse(String text) {
    throw new UnsupportedOperationException();
  }
}
