package brig.shim.metrics;

import brig.shim.metrics.Exposition.Format;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.function.Function;

/** Whole answers, each the last on its connection. */
final class HttpAnswer {
  private static final String PLAIN = "text/plain; charset=utf-8";

  private HttpAnswer() {}

  static String to(Optional<HttpRequest> request, Function<Format, String> metrics) {
    if (request.isEmpty()) {
      return answer(
          "400 Bad Request", PLAIN, "", "not a request of HTTP/1 of at most 8 KiB\n", true);
    }
    String method = request.get().method();
    boolean body = !method.equals("HEAD");
    if (body && !method.equals("GET")) {
      return answer("405 Method Not Allowed", PLAIN, "Allow: GET, HEAD\r\n", "GET or HEAD\n", true);
    }
    if (!request.get().target().equals("/metrics")) {
      return answer("404 Not Found", PLAIN, "", "there is /metrics only\n", body);
    }
    Format format = Format.of(request.get().accept());
    return answer("200 OK", format.contentType(), "", metrics.apply(format), body);
  }

  private static String answer(
      String status, String type, String header, String text, boolean withBody) {
    int length = text.getBytes(StandardCharsets.UTF_8).length;
    String head =
        "HTTP/1.1 "
            + status
            + "\r\nContent-Type: "
            + type
            + "\r\nContent-Length: "
            + length
            + "\r\n"
            + header
            + "Connection: close\r\n\r\n";
    return withBody ? head + text : head;
  }
}
