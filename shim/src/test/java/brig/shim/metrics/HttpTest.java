package brig.shim.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import brig.shim.metrics.Exposition.Format;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.channels.Channels;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import org.junit.jupiter.api.Test;

class HttpTest {
  @Test
  void metricsAreThereForThoseWhoGetThem() throws IOException {
    assertThat(answer("GET /metrics?a=b HTTP/1.1\r\nHost: x\r\nACCEPT: text/plain\r\n\r\n"))
        .startsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
        .contains("\r\nContent-Length: 10\r\n")
        .endsWith("\r\n\r\nPROMETHEUS");
    assertThat(answer("GET /metrics HTTP/1.0\r\nAccept: application/openmetrics-text\r\n\r\n"))
        .contains(
            "\r\nContent-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n")
        .endsWith("\r\n\r\nOPEN_METRICS");
  }

  @Test
  void headGetsTheHeadAlone() throws IOException {
    assertThat(answer("HEAD /metrics HTTP/1.1\r\n\r\n"))
        .contains("Content-Length: 10\r\n")
        .endsWith("\r\n\r\n");
  }

  @Test
  void whatElseIsAskedForIsRefused() throws IOException {
    assertThat(answer("GET / HTTP/1.1\r\n\r\n")).startsWith("HTTP/1.1 404 ");
    assertThat(answer("POST /metrics HTTP/1.1\r\n\r\n"))
        .startsWith("HTTP/1.1 405 ")
        .contains("\r\nAllow: GET, HEAD\r\n");
    assertThat(answer("GET /metrics\r\n\r\n")).startsWith("HTTP/1.1 400 ");
    assertThat(answer("GET /metrics HTTP/1.1\r\n")).startsWith("HTTP/1.1 400 ");
    assertThat(answer("GET /metrics HTTP/1.1\r\nA: " + "x".repeat(9000) + "\r\n\r\n"))
        .startsWith("HTTP/1.1 400 ");
  }

  @Property
  void anyBytesGetAnAnswer(@ForAll String text) throws IOException {
    assertThat(answer(text)).startsWith("HTTP/1.1 ");
    assertThat(answer(text + "\r\n\r\n")).startsWith("HTTP/1.1 ");
  }

  private static String answer(String request) throws IOException {
    byte[] bytes = request.getBytes(StandardCharsets.ISO_8859_1);
    Optional<HttpRequest> read =
        HttpRequest.read(Channels.newChannel(new ByteArrayInputStream(bytes)));
    return HttpAnswer.to(read, Format::name);
  }
}
