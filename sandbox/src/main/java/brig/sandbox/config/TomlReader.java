package brig.sandbox.config;

import brig.sandbox.config.TomlTable.Origin;
import brig.sandbox.config.TomlTable.Position;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * Reads TOML 1.0 documents. Dates and times, for which Brig's files have no use, are refused.
 *
 * <p>The daemon reads its configuration before it can answer anybody, with code that has never run:
 * this reader takes half a millisecond then, where a generated parser took 24.
 */
final class TomlReader {
  private final TomlScanner in;
  private final TomlTable root = new TomlTable(Origin.HEADER);
  private final TomlValues values;

  private TomlReader(String text) {
    this.in = new TomlScanner(text);
    this.values = new TomlValues(in, this);
  }

  /** The document's root. */
  static TomlTable read(String text) throws TomlException {
    TomlReader reader = new TomlReader(text);
    reader.document();
    return reader.root;
  }

  private void document() throws TomlException {
    TomlTable current = root;
    while (true) {
      in.skipBlankLines();
      if (in.atEnd()) {
        return;
      }
      if (in.peek() == '[') {
        current = header();
      } else {
        keyAndValue(current, 0);
      }
      in.expectEndOfLine();
    }
  }

  /** {@code [a.b]} or {@code [[a.b]]}: the table that follows. */
  private TomlTable header() throws TomlException {
    Position position = in.position();
    in.expect('[');
    boolean list = in.skip('[');
    List<String> key = key();
    in.expect(']');
    if (list) {
      in.expect(']');
    }
    TomlTable parent = root;
    for (String part : key.subList(0, key.size() - 1)) {
      parent = step(parent, part, Origin.IMPLIED, position);
    }
    String last = key.getLast();
    Optional<Object> there = parent.get(last);
    if (list) {
      return element(parent, last, there, position);
    }
    if (there.isEmpty()) {
      TomlTable made = new TomlTable(Origin.HEADER);
      parent.put(last, made, position);
      return made;
    }
    if (there.get() instanceof TomlTable table && table.origin() == Origin.IMPLIED) {
      table.becomes(Origin.HEADER);
      return table;
    }
    throw new TomlException(last + " is there already", position);
  }

  /** A new element of a list of tables. */
  private static TomlTable element(
      TomlTable parent, String key, Optional<Object> there, Position position)
      throws TomlException {
    TableList elements;
    if (there.isEmpty()) {
      elements = new TableList();
      parent.put(key, elements, position);
    } else if (there.get() instanceof TableList list) {
      elements = list;
    } else {
      throw new TomlException(key + " is there already", position);
    }
    TomlTable element = new TomlTable(Origin.HEADER);
    elements.add(element);
    return element;
  }

  /** Tables with headers in double brackets; unlike a list in a value it can be added to. */
  private static final class TableList extends ArrayList<Object> {
    private static final long serialVersionUID = 1L;
  }

  /** The table beneath a key, made where it isn't there. */
  private static TomlTable step(TomlTable from, String key, Origin origin, Position position)
      throws TomlException {
    Optional<Object> there = from.get(key);
    if (there.isEmpty()) {
      TomlTable made = new TomlTable(origin);
      from.put(key, made, position);
      return made;
    }
    Object value = there.get() instanceof TableList list ? list.getLast() : there.get();
    if (!(value instanceof TomlTable table)) {
      throw new TomlException(key + " is no table", position);
    }
    boolean closed =
        table.origin() == Origin.INLINE
            || (origin == Origin.DOTTED && table.origin() != Origin.DOTTED);
    if (closed) {
      throw new TomlException(key + " can't be added to here", position);
    }
    return table;
  }

  /** {@code a.b = value}, into the table. */
  void keyAndValue(TomlTable table, int depth) throws TomlException {
    Position position = in.position();
    List<String> key = key();
    in.expect('=');
    in.skipBlanks();
    TomlTable parent = table;
    for (String part : key.subList(0, key.size() - 1)) {
      parent = step(parent, part, Origin.DOTTED, position);
    }
    Object value = values.value(depth);
    if (!parent.put(key.getLast(), value, position)) {
      throw new TomlException(key.getLast() + " is there already", position);
    }
  }

  /** Parts of a dotted key, with the blanks around them. */
  private List<String> key() throws TomlException {
    List<String> parts = new ArrayList<>();
    do {
      in.skipBlanks();
      parts.add(
          switch (in.peek()) {
            case '"' -> values.basicString(false);
            case '\'' -> values.literalString(false);
            default -> in.bareKey();
          });
      in.skipBlanks();
    } while (in.skip('.'));
    return parts;
  }
}
