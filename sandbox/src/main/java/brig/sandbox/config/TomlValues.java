package brig.sandbox.config;

import brig.sandbox.config.TomlTable.Origin;
import brig.sandbox.config.TomlTable.Position;
import java.util.ArrayList;
import java.util.List;

/** Values of a TOML document. */
final class TomlValues {
  /** Deeper nesting is nobody's configuration. */
  private static final int DEEPEST = 64;

  private static final int HEXADECIMAL = 16;
  private static final int OCTAL = 8;
  private static final int BINARY = 2;
  private static final int DECIMAL = 10;

  private final TomlScanner in;
  private final TomlReader reader;

  TomlValues(TomlScanner in, TomlReader reader) {
    this.in = in;
    this.reader = reader;
  }

  /**
   * @param depth how many lists and tables in braces it is within
   */
  Object value(int depth) throws TomlException {
    if (depth > DEEPEST) {
      throw new TomlException("nested too deeply", in.position());
    }
    return switch (in.peek()) {
      case '"' -> basicString(true);
      case '\'' -> literalString(true);
      case '[' -> list(depth);
      case '{' -> inlineTable(depth);
      default -> word();
    };
  }

  private List<Object> list(int depth) throws TomlException {
    List<Object> list = new ArrayList<>();
    in.expect('[');
    in.skipBlankLines();
    while (!in.skip(']')) {
      list.add(value(depth + 1));
      in.skipBlankLines();
      if (!in.skip(',')) {
        in.expect(']');
        return list;
      }
      in.skipBlankLines();
    }
    return list;
  }

  private TomlTable inlineTable(int depth) throws TomlException {
    TomlTable table = new TomlTable(Origin.DOTTED);
    in.expect('{');
    in.skipBlanks();
    if (!in.skip('}')) {
      do {
        in.skipBlanks();
        reader.keyAndValue(table, depth + 1);
        in.skipBlanks();
      } while (in.skip(','));
      in.expect('}');
    }
    table.becomes(Origin.INLINE);
    return table;
  }

  /** In double quotes, with escapes. */
  String basicString(boolean mayBeLong) throws TomlException {
    if (mayBeLong && in.skipThree('"')) {
      return longBasicString();
    }
    in.expect('"');
    StringBuilder text = new StringBuilder();
    while (!in.skip('"')) {
      char c = character();
      if (c == '\\') {
        escape(text);
      } else {
        text.append(c);
      }
    }
    return text.toString();
  }

  private String longBasicString() throws TomlException {
    StringBuilder text = new StringBuilder();
    in.skipNewline();
    while (!closes('"', text)) {
      if (in.skipNewline()) {
        text.append('\n');
        continue;
      }
      char c = character();
      if (c != '\\') {
        text.append(c);
      } else if (!skippedLineEnd()) {
        escape(text);
      }
    }
    return text.toString();
  }

  /** A backslash at the end of a line takes all blanks and line ends after it away. */
  private boolean skippedLineEnd() {
    int blanks = 0;
    while (in.peek(blanks) == ' ' || in.peek(blanks) == '\t') {
      blanks++;
    }
    char end = in.peek(blanks);
    if (end != '\n' && !(end == '\r' && in.peek(blanks + 1) == '\n')) {
      return false;
    }
    do {
      in.skipBlanks();
    } while (in.skipNewline());
    return true;
  }

  /** In single quotes, as it stands. */
  String literalString(boolean mayBeLong) throws TomlException {
    boolean isLong = mayBeLong && in.skipThree('\'');
    StringBuilder text = new StringBuilder();
    if (isLong) {
      in.skipNewline();
      while (!closes('\'', text)) {
        text.append(in.skipNewline() ? '\n' : character());
      }
      return text.toString();
    }
    in.expect('\'');
    while (!in.skip('\'')) {
      text.append(character());
    }
    return text.toString();
  }

  /** The end of a long string, before which up to two of its quotes may stand. */
  private boolean closes(char quote, StringBuilder text) {
    int quotes = 0;
    while (quotes < 5 && in.peek(quotes) == quote) {
      quotes++;
    }
    if (quotes < 3) {
      return false;
    }
    for (int i = 3; i < quotes; i++) {
      text.append(in.next());
    }
    return in.skipThree(quote);
  }

  private char character() throws TomlException {
    if (in.atEnd() || in.peek() == '\n') {
      throw in.unexpected("the string's end");
    }
    in.checkPlain(in.peek());
    return in.next();
  }

  private void escape(StringBuilder text) throws TomlException {
    Position position = in.position();
    char c = character();
    switch (c) {
      case 'b' -> text.append('\b');
      case 't' -> text.append('\t');
      case 'n' -> text.append('\n');
      case 'f' -> text.append('\f');
      case 'r' -> text.append('\r');
      case '"', '\\' -> text.append(c);
      case 'u' -> text.appendCodePoint(codePoint(4, position));
      case 'U' -> text.appendCodePoint(codePoint(8, position));
      default -> throw new TomlException("there is no escape \\" + c, position);
    }
  }

  private int codePoint(int digits, Position position) throws TomlException {
    long point = 0;
    for (int i = 0; i < digits; i++) {
      int digit = Character.digit(character(), HEXADECIMAL);
      if (digit < 0) {
        throw new TomlException("not " + digits + " hexadecimal digits", position);
      }
      point = point * HEXADECIMAL + digit;
    }
    boolean isSurrogate = point >= Character.MIN_SURROGATE && point <= Character.MAX_SURROGATE;
    if (point > Character.MAX_CODE_POINT || isSurrogate) {
      throw new TomlException("no character has this number", position);
    }
    return (int) point;
  }

  private Object word() throws TomlException {
    Position position = in.position();
    String word = in.word();
    switch (word) {
      case "true" -> {
        return true;
      }
      case "false" -> {
        return false;
      }
      case "inf", "+inf" -> {
        return Double.POSITIVE_INFINITY;
      }
      case "-inf" -> {
        return Double.NEGATIVE_INFINITY;
      }
      case "nan", "+nan", "-nan" -> {
        return Double.NaN;
      }
      default -> {
        return number(word, position);
      }
    }
  }

  private static Object number(String word, Position position) throws TomlException {
    if (word.matches("0[xob].*")) {
      int radix =
          switch (word.charAt(1)) {
            case 'x' -> HEXADECIMAL;
            case 'o' -> OCTAL;
            default -> BINARY;
          };
      return whole(word, word.substring(2), radix, position);
    }
    if (word.matches("[+-]?(0|[1-9](_?[0-9])*)")) {
      return whole(word, word, DECIMAL, position);
    }
    if (word.matches("[+-]?(0|[1-9](_?[0-9])*)(\\.[0-9](_?[0-9])*)?([eE][+-]?[0-9](_?[0-9])*)?")) {
      return Double.valueOf(word.replace("_", ""));
    }
    throw new TomlException(word + " is no value (dates and times are not taken)", position);
  }

  private static Long whole(String word, String digits, int radix, Position position)
      throws TomlException {
    boolean signed = radix != DECIMAL && (digits.startsWith("+") || digits.startsWith("-"));
    boolean loose = digits.startsWith("_") || digits.endsWith("_") || digits.contains("__");
    if (!signed && !loose) {
      try {
        return Long.valueOf(digits.replace("_", ""), radix);
      } catch (NumberFormatException e) {
        // Said below.
      }
    }
    throw new TomlException(word + " is no whole number of 64 bits", position);
  }
}
