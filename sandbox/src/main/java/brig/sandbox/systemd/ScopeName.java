package brig.sandbox.systemd;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.util.Optional;
import java.util.regex.Pattern;

/**
 * A scope and the slice that it is in, as {@code slice:prefix:name} in {@code linux.cgroupsPath}
 * says them. An empty slice is {@code system.slice}.
 *
 * @param unit {@code prefix-name.scope}
 * @param slice with its suffix
 */
public record ScopeName(String unit, String slice) {
  private static final String FIELD = "linux.cgroupsPath";
  private static final String SLICE = ".slice";
  private static final String SCOPE = ".scope";
  private static final String DEFAULT_SLICE = "system.slice";
  private static final String ROOT_SLICE = "-.slice";

  /** systemd.unit(5): the characters of a unit's name, and its greatest length. */
  private static final Pattern NAME = Pattern.compile("[A-Za-z0-9:_.\\\\@-]+");

  private static final int LONGEST = 255;

  /** Whether the path asks for a scope: three parts with colons between them. */
  public static boolean isAsked(String cgroupsPath) {
    return !cgroupsPath.startsWith("/") && cgroupsPath.split(":", -1).length == 3;
  }

  /** The scope that the path asks for, if it asks for one. */
  public static Optional<ScopeName> of(String cgroupsPath) throws BrigException {
    if (!isAsked(cgroupsPath)) {
      return Optional.empty();
    }
    String[] parts = cgroupsPath.split(":", -1);
    String slice = parts[0].isEmpty() ? DEFAULT_SLICE : parts[0];
    checkSlice(slice, cgroupsPath);
    if (parts[2].isEmpty()) {
      throw invalid(cgroupsPath, "has no name for the scope", "slice:prefix:name is the form");
    }
    if (parts[2].endsWith(SLICE)) {
      throw invalid(cgroupsPath, "names a slice, and a container's processes can't be in one", "");
    }
    String unit = (parts[1].isEmpty() ? "" : parts[1] + "-") + parts[2] + SCOPE;
    check(unit, cgroupsPath);
    return Optional.of(new ScopeName(unit, slice));
  }

  private static void checkSlice(String slice, String asked) throws BrigException {
    if (slice.equals(ROOT_SLICE)) {
      return;
    }
    String stem = slice.endsWith(SLICE) ? slice.substring(0, slice.length() - SLICE.length()) : "";
    boolean wellFormed =
        !stem.isEmpty() && !stem.startsWith("-") && !stem.endsWith("-") && !stem.contains("--");
    if (!wellFormed) {
      throw invalid(asked, "\"" + slice + "\" is not the name of a slice", "a-b.slice is the form");
    }
    check(slice, asked);
  }

  private static void check(String name, String asked) throws BrigException {
    if (name.length() > LONGEST || !NAME.matcher(name).matches()) {
      throw invalid(
          asked,
          "\"" + name + "\" can't be the name of a unit",
          "letters, digits and :_.\\@- are allowed, " + LONGEST + " of them");
    }
  }

  private static BrigException invalid(String asked, String reason, String remedy) {
    return new BrigException(
        Kind.INVALID_ARGUMENT, "plan", FIELD, "\"" + asked + "\" " + reason, remedy);
  }

  /**
   * Where the scope stands beneath the root of the hierarchy: each {@code -} in a slice's name is a
   * level ({@code a-b.slice} is {@code a.slice/a-b.slice}).
   */
  public String path() {
    StringBuilder path = new StringBuilder();
    if (!slice.equals(ROOT_SLICE)) {
      String stem = slice.substring(0, slice.length() - SLICE.length());
      for (int dash = stem.indexOf('-'); dash >= 0; dash = stem.indexOf('-', dash + 1)) {
        path.append(stem, 0, dash).append(SLICE).append('/');
      }
      path.append(slice).append('/');
    }
    return path.append(unit).toString();
  }
}
