package brig.shim.metrics;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.ReadableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/**
 * The head of a request, as far as it matters here.
 *
 * @param target as sent, without what follows a question mark
 * @param accept value of the header, empty where there is none
 */
record HttpRequest(String method, String target, String accept) {
  /** Of the head in bytes. */
  static final int LONGEST = 8192;

  private static final String END = "\r\n\r\n";

  /** Reads until the head's end; empty if what came is no such head. */
  static Optional<HttpRequest> read(ReadableByteChannel from) throws IOException {
    ByteBuffer head = ByteBuffer.allocate(LONGEST);
    while (head.hasRemaining() && from.read(head) >= 0) {
      String text = new String(head.array(), 0, head.position(), StandardCharsets.ISO_8859_1);
      int end = text.indexOf(END);
      if (end >= 0) {
        return parse(text.substring(0, end));
      }
    }
    return Optional.empty();
  }

  static Optional<HttpRequest> parse(String head) {
    List<String> lines = List.of(head.split("\r\n", -1));
    List<String> words = List.of(lines.getFirst().split(" ", -1));
    if (words.size() != 3 || !words.get(2).startsWith("HTTP/1.")) {
      return Optional.empty();
    }
    String accept = "";
    for (String line : lines.subList(1, lines.size())) {
      int colon = line.indexOf(':');
      if (colon > 0 && line.substring(0, colon).toLowerCase(Locale.ROOT).equals("accept")) {
        accept = line.substring(colon + 1).strip();
      }
    }
    String target = words.get(1).split("\\?", 2)[0];
    return Optional.of(new HttpRequest(words.get(0), target, accept));
  }
}
