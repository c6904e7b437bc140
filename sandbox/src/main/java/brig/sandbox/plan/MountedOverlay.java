package brig.sandbox.plan;

import brig.proto.keeper.SourceReport;
import brig.sandbox.BrigException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A root that somebody else has mounted as an overlay: its layers, as mountinfo shows them. Paths
 * in it are as they were at the mount; relative ones are those of Docker, which mounts from two
 * directories above the mount point.
 */
final class MountedOverlay {
  private MountedOverlay() {}

  static Optional<OverlayLayers> layers(String field, SourceReport report) throws BrigException {
    if (!report.getMountPoint().equals(report.getCanonicalPath())
        || !report.getMountRoot().equals("/")) {
      // A directory within an overlay: its layers would be others.
      return Optional.empty();
    }
    List<String> options = new ArrayList<>();
    for (String option : report.getSuperOptions().split(",", -1)) {
      String text = octal(option);
      if (text.equals("index=on")) {
        throw Refusal.host(
            field,
            report.getCanonicalPath()
                + " is an overlay mounted with index=on, so its layers can't be mounted again",
            "mount it with index=off");
      }
      String name = text.indexOf('=') < 0 ? text : text.substring(0, text.indexOf('='));
      switch (name) {
        case "lowerdir",
            "lowerdir+",
            "upperdir",
            "workdir",
            "datadir+",
            "userxattr",
            "metacopy",
            "redirect_dir",
            "nfs_export" ->
            options.add(text);
        default -> {}
      }
    }
    OverlayLayers layers = OverlayLayers.of(field, options);
    String base = OverlayLayers.parent(OverlayLayers.parent(report.getMountPoint()));
    return Optional.of(
        new OverlayLayers(
            layers.lower().stream().map(path -> absolute(base, path)).toList(),
            layers.writable() ? absolute(base, layers.upper()) : "",
            layers.writable() ? absolute(base, layers.work()) : "",
            layers.options()));
  }

  private static String absolute(String base, String path) {
    return path.startsWith("/") ? path : base + "/" + path;
  }

  /** Undoes the octal escapes of /proc/self/mountinfo. */
  static String octal(String text) {
    StringBuilder out = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) == '\\' && i + 3 < text.length() && isOctal(text, i + 1)) {
        out.append((char) Integer.parseInt(text.substring(i + 1, i + 4), 8));
        i += 3;
      } else {
        out.append(text.charAt(i));
      }
    }
    return out.toString();
  }

  private static boolean isOctal(String text, int from) {
    for (int i = from; i < from + 3; i++) {
      if (text.charAt(i) < '0' || text.charAt(i) > '7') {
        return false;
      }
    }
    return true;
  }
}
