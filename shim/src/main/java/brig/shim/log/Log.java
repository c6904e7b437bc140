package brig.shim.log;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.time.temporal.ChronoUnit;

/**
 * Writes lines in logfmt.
 *
 * <p>Immutable: {@link #with} gives a log whose lines all carry one more field. A line that can't
 * be written is dropped; logging never fails a caller. Lines are written whole, so threads don't
 * mix theirs.
 */
public final class Log {
  /** Of a message or field, in characters; the rest of it is dropped. */
  private static final int LONGEST = 8192;

  private final OutputStream out;
  private final Clock clock;
  private final String fields;

  private Log(OutputStream out, Clock clock, String fields) {
    this.out = out;
    this.clock = clock;
    this.fields = fields;
  }

  /** A log on the process's standard error. */
  public static Log toStandardError() {
    return to(new FileOutputStream(FileDescriptor.err), Clock.systemUTC());
  }

  public static Log to(OutputStream out, Clock clock) {
    return new Log(out, clock, "");
  }

  /** The same log with one more field on each line. */
  public Log with(String key, String value) {
    return new Log(out, clock, fields + " " + key + "=" + quoted(value));
  }

  public Log with(String key, long value) {
    return with(key, Long.toString(value));
  }

  public void info(String message) {
    line("info", message);
  }

  public void warn(String message) {
    line("warning", message);
  }

  public void error(String message) {
    line("error", message);
  }

  /** An error nobody foresaw: its kind and the place it came from, on one line. */
  public void error(String message, Throwable cause) {
    Log log = with("exception", cause.toString());
    StackTraceElement[] trace = cause.getStackTrace();
    if (trace.length > 0) {
      log = log.with("at", places(trace));
    }
    Throwable root = cause.getCause();
    if (root != null) {
      log = log.with("cause", root.toString());
    }
    log.error(message);
  }

  private static String places(StackTraceElement[] trace) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < Math.min(trace.length, 8); i++) {
      text.append(i == 0 ? "" : " < ").append(trace[i].getClassName());
      text.append('.')
          .append(trace[i].getMethodName())
          .append(':')
          .append(trace[i].getLineNumber());
    }
    return text.toString();
  }

  private void line(String level, String message) {
    String time = clock.instant().truncatedTo(ChronoUnit.MICROS).toString();
    String line = "time=" + time + " level=" + level + " msg=" + quoted(message) + fields + "\n";
    try {
      out.write(line.getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      // Nobody is left to tell.
    }
  }

  private static String quoted(String whole) {
    String value = whole.length() > LONGEST ? whole.substring(0, LONGEST) + "..." : whole;
    boolean plain = !value.isEmpty();
    for (int i = 0; plain && i < value.length(); i++) {
      char c = value.charAt(i);
      plain = c > ' ' && c != '"' && c != '=' && c != '\\' && c < 0x7f;
    }
    if (plain) {
      return value;
    }
    StringBuilder text = new StringBuilder(value.length() + 8).append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"', '\\' -> text.append('\\').append(c);
        case '\n' -> text.append("\\n");
        case '\t' -> text.append("\\t");
        default -> {
          if (c < ' ' || c == 0x7f || (c >= 0x80 && c < 0xa0)) {
            text.append(String.format("\\u%04x", (int) c));
          } else {
            text.append(c);
          }
        }
      }
    }
    return text.append('"').toString();
  }
}
