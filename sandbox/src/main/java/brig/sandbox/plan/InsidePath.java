package brig.sandbox.plan;

import java.util.ArrayDeque;
import java.util.Deque;

/** Paths inside a container. */
final class InsidePath {
  private InsidePath() {}

  /**
   * Absolute and without empty, {@code .} and {@code ..} components; text only, no link is asked.
   */
  static String normal(String path) {
    Deque<String> parts = new ArrayDeque<>();
    for (String part : path.split("/", -1)) {
      switch (part) {
        case "", "." -> {}
        case ".." -> parts.pollLast();
        default -> parts.addLast(part);
      }
    }
    return "/" + String.join("/", parts);
  }

  /** Whether {@code path} is {@code directory} or lies beneath it; both normal. */
  static boolean within(String path, String directory) {
    return path.equals(directory) || directory.equals("/") || path.startsWith(directory + "/");
  }
}
