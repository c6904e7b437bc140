package brig.sandbox.ids;

import java.nio.charset.StandardCharsets;

/**
 * The table of ids, and the host's own lists of them. A checksum is put to what the fuzzer makes
 * up, since it would hardly find one.
 */
public final class TableFuzzTarget {
  private TableFuzzTarget() {}

  /** What Jazzer calls. */
  public static void fuzzerTestOneInput(byte[] bytes) {
    String text = new String(bytes, StandardCharsets.UTF_8);
    SubIds.parse(text);
    for (String whole : new String[] {text, text + "crc32 " + Table.checksum(text) + "\n"}) {
      Table table;
      try {
        table = Table.parse(whole);
      } catch (IllegalArgumentException | IndexOutOfBoundsException refused) {
        // Whoever reads the file puts it aside then.
        continue;
      }
      if (!Table.parse(table.format()).equals(table)) {
        throw new IllegalStateException("another table after writing it: " + table);
      }
    }
  }
}
