package brig.testing;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;

/** What {@code brig explain --json} says of a container. */
public record Explained(JsonNode document) {

  /** One line of it: what was asked, granted, why, and what the kernel says. */
  public record Line(String name, String asked, String granted, String why, String kernel) {}

  /** Asks the daemon. */
  public static Explained of(BrigDaemon daemon, String namespace, String id) {
    String text =
        daemon.command("explain", "--namespace", namespace, "--json", id).run().orFail().stdout();
    try {
      return new Explained(new ObjectMapper().readTree(text));
    } catch (IOException e) {
      throw new UncheckedIOException(text, e);
    }
  }

  public String state() {
    return document.get("state").asText();
  }

  public int pid() {
    return document.get("pid").asInt();
  }

  public List<Line> lines() {
    List<Line> lines = new ArrayList<>();
    for (JsonNode line : document.get("dimensions")) {
      lines.add(
          new Line(
              line.get("name").asText(),
              line.get("asked").asText(),
              line.get("granted").asText(),
              line.get("why").asText(),
              line.get("kernel").asText()));
    }
    return lines;
  }

  /** The line of this name. */
  public Line line(String name) {
    return lines().stream()
        .filter(line -> line.name().equals(name))
        .findFirst()
        .orElseThrow(() -> new AssertionError("no line " + name + " in " + lines()));
  }
}
