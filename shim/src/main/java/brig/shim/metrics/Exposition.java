package brig.shim.metrics;

import java.math.BigDecimal;
import java.util.Locale;

/**
 * Text of the metrics, in OpenMetrics 1.0 or in Prometheus' text format 0.0.4. They differ in the
 * names of counters' families, in the types there are, in units, and in how a text ends.
 */
public final class Exposition {
  /** What a reader may want. */
  public enum Format {
    OPEN_METRICS("application/openmetrics-text; version=1.0.0; charset=utf-8"),
    PROMETHEUS("text/plain; version=0.0.4; charset=utf-8");

    private final String contentType;

    Format(String contentType) {
      this.contentType = contentType;
    }

    public String contentType() {
      return contentType;
    }

    /** By the header Accept: OpenMetrics for those who name it. */
    public static Format of(String accept) {
      return accept.toLowerCase(Locale.ROOT).contains("application/openmetrics-text")
          ? OPEN_METRICS
          : PROMETHEUS;
    }
  }

  /** Of a family of metrics. */
  enum Type {
    COUNTER,
    GAUGE,
    HISTOGRAM,
    INFO
  }

  private final Format format;
  private final StringBuilder text = new StringBuilder(16 << 10);

  Exposition(Format format) {
    this.format = format;
  }

  /**
   * Begins a family; its samples follow.
   *
   * @param name without the suffixes that the type has (_total, _info)
   */
  void family(String name, Type type, String help) {
    boolean open = format == Format.OPEN_METRICS;
    String family = open ? name : name + suffix(type);
    String word = !open && type == Type.INFO ? "gauge" : type.name().toLowerCase(Locale.ROOT);
    text.append("# TYPE ").append(family).append(' ').append(word).append('\n');
    if (open && name.endsWith("_seconds")) {
      text.append("# UNIT ").append(family).append(" seconds\n");
    } else if (open && name.endsWith("_bytes")) {
      text.append("# UNIT ").append(family).append(" bytes\n");
    }
    text.append("# HELP ").append(family).append(' ').append(escaped(help)).append('\n');
  }

  /** A family of one sample without labels. */
  void single(String name, Type type, String help, String value) {
    family(name, type, help);
    sample(name + suffix(type), "", value);
  }

  /**
   * @param name with its suffix
   * @param labels as {@link #label} gives them, joined by commas; may be empty
   */
  void sample(String name, String labels, String value) {
    text.append(name);
    if (!labels.isEmpty()) {
      text.append('{').append(labels).append('}');
    }
    text.append(' ').append(value).append('\n');
  }

  String finished() {
    if (format == Format.OPEN_METRICS) {
      text.append("# EOF\n");
    }
    return text.toString();
  }

  static String label(String name, String value) {
    return name + "=\"" + escaped(value).replace("\"", "\\\"") + "\"";
  }

  /** A decimal fraction, without an exponent. */
  static String seconds(long nanos) {
    BigDecimal value = BigDecimal.valueOf(nanos, 9).stripTrailingZeros();
    return (value.scale() < 1 ? value.setScale(1) : value).toPlainString();
  }

  private static String suffix(Type type) {
    return switch (type) {
      case COUNTER -> "_total";
      case INFO -> "_info";
      case GAUGE, HISTOGRAM -> "";
    };
  }

  private static String escaped(String value) {
    return value.replace("\\", "\\\\").replace("\n", "\\n");
  }
}
