package brig.sandbox.config;

import java.util.Collection;
import java.util.Optional;

/** The known word that a mistyped one most likely meant. */
final class Nearest {
  /** More changes than this and it's another word. */
  private static final int MAX_CHANGES = 3;

  private Nearest() {}

  static Optional<String> to(String word, Collection<String> known) {
    String best = "";
    int least = MAX_CHANGES + 1;
    for (String candidate : known) {
      int changes = changes(word, candidate);
      if (changes < least && changes < candidate.length()) {
        least = changes;
        best = candidate;
      }
    }
    return best.isEmpty() ? Optional.empty() : Optional.of(best);
  }

  /** Insertions, deletions and replacements that make one of the other (Levenshtein). */
  private static int changes(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int replace = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(replace, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
