package brig.testing.bench;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/**
 * The result for programs. Version 1:
 *
 * <pre>{@code
 * {"version": 1, "circumstances": {"date": ..., "kernel": ..., ...},
 *  "rows": [{"key": "run.p50", "title": ..., "unit": "ms", "kind": "cost", "samples": 200,
 *            "brig": 61.2, "runc": 70.4, "crun": 66.0, "null": 12.1, "brig_to_runc": 0.87,
 *            "brig_above_null": 49.1, "runc_above_null": 58.3, "share_of_runcs": 0.84}, ...]}
 * }</pre>
 *
 * A value that doesn't exist is left out.
 */
final class Json {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  private Json() {}

  static void write(Path file, Circumstances circumstances, List<Row> rows) {
    ObjectNode root = MAPPER.createObjectNode().put("version", 1);
    root.set("circumstances", circumstances.toJson());
    var lines = root.putArray("rows");
    for (Row row : rows) {
      ObjectNode line =
          lines
              .addObject()
              .put("key", row.key())
              .put("title", row.title().trim())
              .put("unit", row.unit())
              .put("kind", row.kind().name().toLowerCase(java.util.Locale.ROOT))
              .put("samples", row.samples());
      for (Subject subject : Subject.values()) {
        row.value(subject).ifPresent(value -> line.put(subject.label(), value));
      }
      row.ratio().ifPresent(ratio -> line.put("brig_to_runc", ratio));
      for (Subject subject : List.of(Subject.BRIG, Subject.RUNC)) {
        row.share(subject).ifPresent(share -> line.put(subject.label() + "_above_null", share));
      }
      row.shareRatio().ifPresent(ratio -> line.put("share_of_runcs", ratio));
    }
    try {
      MAPPER.writerWithDefaultPrettyPrinter().writeValue(file.toFile(), root);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
