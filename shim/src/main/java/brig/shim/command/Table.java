package brig.shim.command;

import java.util.ArrayList;
import java.util.List;

/** Text in aligned columns; what is longer than its column goes on beneath itself. */
final class Table {
  private static final String GAP = "  ";

  private final int widest;
  private final List<List<String>> rows = new ArrayList<>();

  /**
   * @param widest number of characters that no column exceeds
   */
  Table(int widest) {
    this.widest = widest;
  }

  Table row(String... cells) {
    rows.add(List.of(cells));
    return this;
  }

  String text() {
    int[] widths = widths();
    StringBuilder text = new StringBuilder();
    for (List<String> row : rows) {
      List<List<String>> cells = row.stream().map(this::wrap).toList();
      int height = cells.stream().mapToInt(List::size).max().orElse(0);
      for (int line = 0; line < height; line++) {
        appendLine(text, cells, line, widths);
      }
    }
    return text.toString();
  }

  private static void appendLine(
      StringBuilder text, List<List<String>> cells, int line, int[] widths) {
    StringBuilder out = new StringBuilder();
    for (int column = 0; column < cells.size(); column++) {
      List<String> cell = cells.get(column);
      String part = line < cell.size() ? cell.get(line) : "";
      out.append(part).append(" ".repeat(widths[column] - part.length())).append(GAP);
    }
    text.append(out.toString().stripTrailing()).append('\n');
  }

  private int[] widths() {
    int columns = rows.stream().mapToInt(List::size).max().orElse(0);
    int[] widths = new int[columns];
    for (List<String> row : rows) {
      for (int column = 0; column < row.size(); column++) {
        for (String line : wrap(row.get(column))) {
          widths[column] = Math.max(widths[column], line.length());
        }
      }
    }
    return widths;
  }

  /** Breaks at spaces, and within words that are longer than a line. */
  private List<String> wrap(String cell) {
    List<String> lines = new ArrayList<>();
    for (String paragraph : cell.split("\n", -1)) {
      String rest = paragraph;
      while (rest.length() > widest) {
        int space = rest.lastIndexOf(' ', widest);
        int end = space > 0 ? space : widest;
        lines.add(rest.substring(0, end));
        rest = rest.substring(end).stripLeading();
      }
      lines.add(rest);
    }
    return lines;
  }
}
