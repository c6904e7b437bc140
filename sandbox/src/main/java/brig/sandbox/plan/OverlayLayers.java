package brig.sandbox.plan;

import brig.sandbox.BrigException;
import java.util.ArrayList;
import java.util.List;

/**
 * The options of an overlay mount, taken apart.
 *
 * @param lower paths, uppermost first
 * @param upper empty: read-only
 * @param work empty: read-only
 * @param options the others, in order
 */
public record OverlayLayers(List<String> lower, String upper, String work, List<String> options) {
  public OverlayLayers {
    lower = List.copyOf(lower);
    options = List.copyOf(options);
  }

  /**
   * @param field of the spec, for messages
   */
  static OverlayLayers of(String field, List<String> options) throws BrigException {
    List<String> lower = new ArrayList<>();
    String upper = "";
    String work = "";
    List<String> others = new ArrayList<>();
    for (String option : options) {
      int equals = option.indexOf('=');
      String name = equals < 0 ? option : option.substring(0, equals);
      String value = equals < 0 ? "" : option.substring(equals + 1);
      switch (name) {
        case "lowerdir" -> lower.addAll(split(value));
        case "lowerdir+" -> lower.add(value);
        case "upperdir" -> upper = unescape(value);
        case "workdir" -> work = unescape(value);
        case "datadir+" ->
            throw Refusal.notEnforced(field, "data-only layers are not supported", "");
        default -> others.add(option);
      }
    }
    if (lower.isEmpty() || lower.contains("")) {
      throw Refusal.invalid(field, "an overlay needs lower layers and each needs a path", "");
    }
    if (upper.isEmpty() != work.isEmpty()) {
      throw Refusal.invalid(field, "an overlay has one of upperdir and workdir only", "");
    }
    if (!upper.isEmpty() && !parent(upper).equals(parent(work))) {
      throw Refusal.invalid(
          field,
          "upperdir " + upper + " and workdir " + work + " lie in different directories",
          "put both in one directory, so that one idmapped mount carries them");
    }
    return new OverlayLayers(lower, upper, work, others);
  }

  boolean writable() {
    return !upper.isEmpty();
  }

  /** The directory that holds upper and work. */
  String parent() {
    return parent(upper);
  }

  static String parent(String path) {
    String clean = clean(path);
    int slash = clean.lastIndexOf('/');
    return slash <= 0 ? "/" : clean.substring(0, slash);
  }

  static String name(String path) {
    String clean = clean(path);
    return clean.substring(clean.lastIndexOf('/') + 1);
  }

  private static String clean(String path) {
    int end = path.length();
    while (end > 1 && path.charAt(end - 1) == '/') {
      end--;
    }
    return path.substring(0, end);
  }

  /** Splits at colons that no backslash stands before. */
  private static List<String> split(String value) {
    List<String> parts = new ArrayList<>();
    StringBuilder part = new StringBuilder();
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if (c == '\\' && i + 1 < value.length()) {
        part.append(value.charAt(++i));
      } else if (c == ':') {
        parts.add(part.toString());
        part.setLength(0);
      } else {
        part.append(c);
      }
    }
    parts.add(part.toString());
    return parts;
  }

  private static String unescape(String value) {
    StringBuilder text = new StringBuilder();
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      text.append(c == '\\' && i + 1 < value.length() ? value.charAt(++i) : c);
    }
    return text.toString();
  }
}
