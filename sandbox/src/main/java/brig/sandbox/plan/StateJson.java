package brig.sandbox.plan;

import java.util.List;
import java.util.Map;

/** The OCI state document for hooks and the seccomp agent, cut where status and pid stand. */
final class StateJson {
  private StateJson() {}

  /** The document of a container that has ended. */
  static String stopped(CreateInput in) {
    List<String> parts = parts(in);
    return parts.get(0) + "stopped" + parts.get(1) + "0" + parts.get(2);
  }

  static List<String> parts(CreateInput in) {
    StringBuilder last = new StringBuilder(",\"bundle\":");
    string(last, in.bundle());
    if (!in.spec().annotations().isEmpty()) {
      last.append(",\"annotations\":{");
      String separator = "";
      for (Map.Entry<String, String> annotation : in.spec().annotations().entrySet()) {
        last.append(separator);
        string(last, annotation.getKey());
        last.append(':');
        string(last, annotation.getValue());
        separator = ",";
      }
      last.append('}');
    }
    last.append('}');
    StringBuilder first = new StringBuilder("{\"ociVersion\":");
    string(first, in.spec().ociVersion());
    first.append(",\"id\":");
    string(first, in.id());
    first.append(",\"status\":\"");
    return List.of(first.toString(), "\",\"pid\":", last.toString());
  }

  private static void string(StringBuilder out, String text) {
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      switch (c) {
        case '"' -> out.append("\\\"");
        case '\\' -> out.append("\\\\");
        case '\n' -> out.append("\\n");
        case '\r' -> out.append("\\r");
        case '\t' -> out.append("\\t");
        default -> {
          // Lone surrogates can't be written in UTF-8, escaped ones can.
          if (c < 0x20 || Character.isSurrogate(c)) {
            out.append("\\u").append(String.format("%04x", (int) c));
          } else {
            out.append(c);
          }
        }
      }
    }
    out.append('"');
  }
}
