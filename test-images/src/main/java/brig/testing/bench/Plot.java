package brig.testing.bench;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalDouble;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What becomes of latency and memory as pods grow in number, as a picture: two charts side by side,
 * the number of pods on a logarithmic axis, a line for each subject. The upright axis begins at 0
 * in both, so that flat is flat.
 */
final class Plot {

  private static final int WIDTH = 420;
  private static final int HEIGHT = 240;
  private static final int LEFT = 60;
  private static final int RIGHT = 60;
  private static final int TOP = 44;
  private static final int BOTTOM = 60;
  private static final int TICKS = 4;

  private static final Map<Subject, String> COLOURS =
      Map.of(
          Subject.BRIG, "#1b6ca8",
          Subject.RUNC, "#c8553d",
          Subject.CRUN, "#8a6d3b",
          Subject.NULL, "#7a7a7a");

  private final StringBuilder svg = new StringBuilder();

  private Plot() {}

  static void write(Path file, Circumstances circumstances, List<Row> rows) {
    try {
      Files.writeString(file, draw(circumstances.date() + ", " + circumstances.processor(), rows));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * The whole picture.
   *
   * @param caption stands beneath it
   */
  static String draw(String caption, List<Row> rows) {
    Plot plot = new Plot();
    int chart = LEFT + WIDTH + RIGHT;
    int height = TOP + HEIGHT + BOTTOM;
    plot.line(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\""
            + " font-family=\"sans-serif\" font-size=\"12\">",
        2 * chart, height);
    plot.line("<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>", 2 * chart, height);
    plot.chart(0, "ctr run --rm true, p50, ms", byPods(rows, Growth.RUN));
    plot.chart(chart, "private memory per idle pod, kB", byPods(rows, Growth.PRIVATE));
    plot.text(LEFT, height - 8, "start", "#555555", caption);
    plot.line("</svg>");
    return plot.svg.toString();
  }

  /** The rows of one kind, by their number of pods. */
  private static SortedMap<Integer, Row> byPods(List<Row> rows, String key) {
    SortedMap<Integer, Row> found = new TreeMap<>();
    for (Row row : rows) {
      if (row.key().startsWith(key)) {
        found.put(Integer.parseInt(row.key().substring(key.length())), row);
      }
    }
    return found;
  }

  private void chart(int offset, String title, SortedMap<Integer, Row> rows) {
    text(offset + LEFT, TOP - 20, "start", "#000000", title);
    if (rows.isEmpty()) {
      text(offset + LEFT, TOP + 20, "start", "#555555", "not measured");
      return;
    }
    double most =
        rows.values().stream()
            .flatMap(row -> row.values().values().stream())
            .mapToDouble(Double::doubleValue)
            .max()
            .orElse(1);
    double step = roundStep(most / TICKS);
    double top = Math.ceil(most / step) * step;
    for (double value = 0; value <= top + step / 2; value += step) {
      double y = y(value, top);
      line("<path d=\"M%d %.1fh%d\" stroke=\"#dddddd\"/>", offset + LEFT, y, WIDTH);
      text(offset + LEFT - 6, y + 4, "end", "#555555", label(value));
    }
    double last = Math.log10(rows.lastKey());
    for (int pods : rows.keySet()) {
      text(offset + x(pods, last), TOP + HEIGHT + 18, "middle", "#555555", Integer.toString(pods));
    }
    text(offset + LEFT + WIDTH / 2.0, TOP + HEIGHT + 34, "middle", "#555555", "pods on the node");
    for (Subject subject : Subject.values()) {
      curve(offset, subject, rows, last, top);
    }
  }

  private void curve(
      int offset, Subject subject, SortedMap<Integer, Row> rows, double last, double top) {
    String colour = COLOURS.getOrDefault(subject, "#000000");
    StringBuilder points = new StringBuilder();
    double endX = 0;
    double endY = 0;
    for (Map.Entry<Integer, Row> row : rows.entrySet()) {
      OptionalDouble value = row.getValue().value(subject);
      if (value.isPresent()) {
        endX = offset + x(row.getKey(), last);
        endY = y(value.getAsDouble(), top);
        points.append(String.format(Locale.ROOT, "%.1f,%.1f ", endX, endY));
        line("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>", endX, endY, colour);
      }
    }
    if (points.length() > 0) {
      line(
          "<polyline points=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>",
          points.toString().strip(), colour);
      text(endX + 8, endY + 4, "start", colour, subject.label());
    }
  }

  private static double x(int pods, double last) {
    return last == 0 ? LEFT + WIDTH / 2.0 : LEFT + WIDTH * Math.log10(pods) / last;
  }

  private static double y(double value, double top) {
    return TOP + HEIGHT * (1 - value / top);
  }

  private static String label(double value) {
    return value == Math.rint(value)
        ? Long.toString((long) value)
        : String.format(Locale.ROOT, "%.2g", value);
  }

  /** The next of 1, 2, 5, 10, 20, ... */
  static double roundStep(double least) {
    double power = Math.pow(10, Math.floor(Math.log10(least)));
    for (double factor : new double[] {1, 2, 5}) {
      if (factor * power >= least) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  private void text(double x, double y, String anchor, String colour, String text) {
    String escaped = text.replace("&", "&amp;").replace("<", "&lt;");
    line(
        "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">%s</text>",
        x, y, anchor, colour, escaped);
  }

  private void line(String format, Object... arguments) {
    svg.append(String.format(Locale.ROOT, format, arguments)).append('\n');
  }
}
