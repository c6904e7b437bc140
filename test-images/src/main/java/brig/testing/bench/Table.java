package brig.testing.bench;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.OptionalDouble;

/** Rows as aligned text. */
final class Table {

  private static final List<String> HEADINGS =
      List.of(
          "",
          "unit",
          "brig",
          "runc",
          "crun",
          "null",
          "brig:runc",
          "brig-null",
          "runc-null",
          "share");

  private Table() {}

  static String render(List<Row> rows) {
    List<List<String>> lines = new ArrayList<>();
    lines.add(HEADINGS);
    for (Row row : rows) {
      lines.add(
          List.of(
              row.title(),
              row.unit(),
              number(row.value(Subject.BRIG)),
              number(row.value(Subject.RUNC)),
              number(row.value(Subject.CRUN)),
              number(row.value(Subject.NULL)),
              row.ratio().isPresent()
                  ? String.format(
                      Locale.ROOT,
                      "%.2f%s",
                      row.ratio().getAsDouble(),
                      row.brigLoses() ? " !" : "  ")
                  : "-  ",
              number(row.share(Subject.BRIG)),
              number(row.share(Subject.RUNC)),
              row.shareRatio().isPresent()
                  ? String.format(Locale.ROOT, "%.2f", row.shareRatio().getAsDouble())
                  : "-"));
    }
    int[] widths = new int[HEADINGS.size()];
    for (List<String> line : lines) {
      for (int column = 0; column < widths.length; column++) {
        widths[column] = Math.max(widths[column], line.get(column).length());
      }
    }
    StringBuilder text = new StringBuilder();
    for (List<String> line : lines) {
      text.append(pad(line.getFirst(), -widths[0]));
      for (int column = 1; column < widths.length; column++) {
        text.append("  ").append(pad(line.get(column), column == 1 ? -widths[1] : widths[column]));
      }
      text.append(System.lineSeparator());
    }
    return text.toString();
  }

  private static String pad(String text, int width) {
    return String.format(Locale.ROOT, "%" + width + "s", text);
  }

  /** Three digits that mean something. */
  private static String number(OptionalDouble value) {
    if (value.isEmpty()) {
      return "-";
    }
    double number = value.getAsDouble();
    double size = Math.abs(number);
    int decimals = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
    return String.format(Locale.ROOT, "%." + decimals + "f", number);
  }
}
