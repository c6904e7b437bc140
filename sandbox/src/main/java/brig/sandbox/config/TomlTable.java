package brig.sandbox.config;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * A table of a TOML document, with the place of each key. Values are strings, {@link Long}, {@link
 * Double}, {@link Boolean}, lists of values, and tables.
 */
final class TomlTable {
  /** How a table came to be, which decides what may still be added to it. */
  enum Origin {
    /** Named on the way to another by a header; its own header may follow. */
    IMPLIED,
    /** It has had its header. */
    HEADER,
    /** Made by dotted keys; more of them may follow, a header may not. */
    DOTTED,
    /** Written in braces; complete. */
    INLINE
  }

  /** Both counted from 1. */
  record Position(int line, int column) {}

  private record Entry(Object value, Position position) {}

  private final Map<String, Entry> entries = new LinkedHashMap<>();
  private Origin origin;

  TomlTable(Origin origin) {
    this.origin = origin;
  }

  Set<String> keys() {
    return entries.keySet();
  }

  Optional<Object> get(String key) {
    return Optional.ofNullable(entries.get(key)).map(Entry::value);
  }

  Optional<Position> position(String key) {
    return Optional.ofNullable(entries.get(key)).map(Entry::position);
  }

  Origin origin() {
    return origin;
  }

  void becomes(Origin other) {
    origin = other;
  }

  /** Whether the key was free. */
  boolean put(String key, Object value, Position position) {
    return entries.putIfAbsent(key, new Entry(value, position)) == null;
  }
}
