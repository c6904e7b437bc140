package brig.sandbox.config;

import brig.sandbox.config.TomlTable.Position;

/** The characters of a TOML document, and what stands between its tokens. */
final class TomlScanner {
  /** What {@link #peek} says at the end: no character of a document. */
  static final char END = '\uffff';

  /** Of a number; more would only keep the expressions that check it busy. */
  private static final int LONGEST_WORD = 128;

  private final String text;
  private int at;
  private int line = 1;
  private int lineStart;

  TomlScanner(String text) {
    this.text = text;
  }

  boolean atEnd() {
    return at >= text.length();
  }

  char peek() {
    return peek(0);
  }

  char peek(int ahead) {
    return at + ahead < text.length() ? text.charAt(at + ahead) : END;
  }

  char next() {
    char c = peek();
    at++;
    if (c == '\n') {
      line++;
      lineStart = at;
    }
    return c;
  }

  Position position() {
    return new Position(line, at - lineStart + 1);
  }

  boolean skip(char c) {
    if (peek() != c || atEnd()) {
      return false;
    }
    next();
    return true;
  }

  /** Three in a row. */
  boolean skipThree(char c) {
    if (peek() != c || peek(1) != c || peek(2) != c) {
      return false;
    }
    at += 3;
    return true;
  }

  void expect(char c) throws TomlException {
    if (!skip(c)) {
      throw unexpected("'" + c + "'");
    }
  }

  TomlException unexpected(String wanted) {
    String found =
        atEnd()
            ? "the end"
            : peek() == '\n' || peek() == '\r' ? "the line's end" : "'" + peek() + "'";
    return new TomlException(found + " where " + wanted + " was expected", position());
  }

  void skipBlanks() {
    while (peek() == ' ' || peek() == '\t') {
      at++;
    }
  }

  boolean skipNewline() {
    if (peek() == '\r' && peek(1) == '\n') {
      at++;
    }
    return skip('\n');
  }

  private void skipComment() throws TomlException {
    if (!skip('#')) {
      return;
    }
    while (!atEnd() && peek() != '\n' && !(peek() == '\r' && peek(1) == '\n')) {
      checkPlain(peek());
      at++;
    }
  }

  void skipBlankLines() throws TomlException {
    do {
      skipBlanks();
      skipComment();
    } while (skipNewline());
  }

  void expectEndOfLine() throws TomlException {
    skipBlanks();
    skipComment();
    if (!atEnd() && !skipNewline()) {
      throw unexpected("the line's end");
    }
  }

  /** Control characters but the tab belong nowhere. */
  void checkPlain(char c) throws TomlException {
    if ((c < ' ' && c != '\t') || c == 0x7f) {
      throw new TomlException(String.format("control character %04x", (int) c), position());
    }
  }

  String bareKey() throws TomlException {
    int start = at;
    while (isBare(peek())) {
      at++;
    }
    if (at == start) {
      throw unexpected("a key");
    }
    return text.substring(start, at);
  }

  private static boolean isBare(char c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || c == '_'
        || c == '-';
  }

  /** What may be a number, a truth value or a date. */
  String word() throws TomlException {
    int start = at;
    while (isBare(peek()) || peek() == '+' || peek() == '.' || peek() == ':') {
      at++;
    }
    if (at == start) {
      throw unexpected("a value");
    }
    if (at - start > LONGEST_WORD) {
      throw new TomlException("no value has more than " + LONGEST_WORD + " characters", position());
    }
    return text.substring(start, at);
  }
}
