package brig.sandbox.ids;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32;

/**
 * The table of ids in use, and its form in a file. An example of version 1 (keys in hex, the last
 * line a checksum of all before it):
 *
 * <pre>
 * brig id ranges 1
 * next 1879113728
 * range 706f64 1879048192 65536
 * booked 6f74686572 100000 65536
 * crc32 89abcdef
 * </pre>
 *
 * @param next where the search for a free range begins: ranges are used in turn, so that one that
 *     became free stays unused for long
 * @param ranges by pod: what Brig gave it
 * @param booked by pod: what it brought
 */
record Table(long next, Map<String, HostIds> ranges, Map<String, List<HostIds>> booked) {
  private static final String HEADER = "brig id ranges 1";

  Table {
    ranges = new LinkedHashMap<>(ranges);
    booked = new LinkedHashMap<>(booked);
  }

  static Table empty(long next) {
    return new Table(next, Map.of(), Map.of());
  }

  Table copy(long otherNext) {
    return new Table(otherNext, ranges, booked);
  }

  String format() {
    StringBuilder text = new StringBuilder(HEADER).append('\n');
    text.append("next ").append(next).append('\n');
    ranges.forEach((pod, ids) -> line(text, "range", pod, ids));
    booked.forEach((pod, all) -> all.forEach(ids -> line(text, "booked", pod, ids)));
    return text + "crc32 " + checksum(text.toString()) + "\n";
  }

  private static void line(StringBuilder text, String word, String pod, HostIds ids) {
    text.append(word)
        .append(' ')
        .append(HexFormat.of().formatHex(pod.getBytes(StandardCharsets.UTF_8)))
        .append(' ')
        .append(ids.first())
        .append(' ')
        .append(ids.size())
        .append('\n');
  }

  /**
   * @throws IllegalArgumentException where the text is not a whole table
   */
  static Table parse(String text) {
    int last = text.lastIndexOf("crc32 ");
    if (!text.startsWith(HEADER + "\n")) {
      throw new IllegalArgumentException("it does not begin with \"" + HEADER + "\"");
    }
    if (last < 0 || !text.endsWith("\n")) {
      throw new IllegalArgumentException("it is torn: its last line is missing");
    }
    String body = text.substring(0, last);
    if (!text.substring(last).equals("crc32 " + checksum(body) + "\n")) {
      throw new IllegalArgumentException("its checksum is wrong");
    }
    long next = 0;
    Map<String, HostIds> ranges = new LinkedHashMap<>();
    Map<String, List<HostIds>> booked = new LinkedHashMap<>();
    for (String line : body.split("\n")) {
      String[] words = line.split(" ", -1);
      switch (words[0]) {
        case "brig" -> {}
        case "next" -> next = Long.parseLong(words[1]);
        case "range" -> ranges.put(pod(words), ids(words));
        case "booked" ->
            booked.computeIfAbsent(pod(words), key -> new ArrayList<>()).add(ids(words));
        default -> throw new IllegalArgumentException("it has a line \"" + line + "\"");
      }
    }
    return new Table(next, ranges, booked);
  }

  private static String pod(String[] words) {
    return new String(HexFormat.of().parseHex(words[1]), StandardCharsets.UTF_8);
  }

  private static HostIds ids(String[] words) {
    return new HostIds(Long.parseLong(words[2]), Long.parseLong(words[3]));
  }

  static String checksum(String text) {
    CRC32 crc = new CRC32();
    crc.update(text.getBytes(StandardCharsets.UTF_8));
    return HexFormat.of().toHexDigits((int) crc.getValue());
  }
}
