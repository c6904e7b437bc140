package brig.testing.kernel;

import brig.testing.Command;
import java.util.ArrayList;
import java.util.List;

/** Network links of the host, through iproute2. */
public final class Links {

  private Links() {}

  /** Runs {@code ip}, which must succeed. */
  public static String ip(String... arguments) {
    List<String> line = new ArrayList<>(List.of("ip"));
    line.addAll(List.of(arguments));
    return new Command(line).run().orFail().stdout();
  }

  /** The links that are ports of a bridge. */
  public static List<String> portsOf(String bridge) {
    return ip("-oneline", "link", "show", "master", bridge).lines().toList();
  }
}
