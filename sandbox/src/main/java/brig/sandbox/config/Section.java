package brig.sandbox.config;

import brig.sandbox.BrigException;
import brig.sandbox.BrigException.Kind;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/** One table of a TOML file: asks for keys, and says where a wrong one stands. */
final class Section {
  private static final String STEP = "read the configuration";
  private static final Pattern LOOPBACK =
      Pattern.compile("(127(?:\\.[0-9]{1,3}){3}|\\[::1\\]):([0-9]{1,5})");

  private final String file;
  private final String name;
  private final TomlTable table;

  private Section(String file, String name, TomlTable table) {
    this.file = file;
    this.name = name;
    this.table = table;
  }

  static Section parse(String text, String file) throws BrigException {
    try {
      return new Section(file, "", TomlReader.read(text));
    } catch (TomlException e) {
      throw error(file, Optional.of(e.position()), "is not TOML: " + e.getMessage(), "");
    }
  }

  Set<String> keys() {
    return table.keys();
  }

  /** Refuses any other key. */
  void known(List<String> keys) throws BrigException {
    for (String key : table.keys()) {
      if (!keys.contains(key)) {
        Optional<String> nearest = Nearest.to(key, keys);
        throw error(
            file,
            table.position(key),
            "unknown key " + qualified(key),
            nearest.map(known -> "did you mean " + known + "?").orElse("known: " + keys));
      }
    }
  }

  Optional<Section> table(String key) throws BrigException {
    Optional<Object> value = table.get(key);
    if (value.isEmpty()) {
      return Optional.empty();
    }
    if (value.get() instanceof TomlTable inner) {
      return Optional.of(new Section(file, qualified(key), inner));
    }
    throw error(key, "is not a table");
  }

  String absolutePath(String key, String absent) throws BrigException {
    Optional<Object> value = table.get(key);
    if (value.isEmpty()) {
      return absent;
    }
    if (value.get() instanceof String path && path.startsWith("/") && path.indexOf('\0') < 0) {
      return path.length() > 1 && path.endsWith("/") ? path.substring(0, path.length() - 1) : path;
    }
    throw error(key, "is not an absolute path");
  }

  /** An address of the loopback device in digits, and a port. */
  Optional<InetSocketAddress> loopback(String key) throws BrigException {
    Optional<Object> value = table.get(key);
    if (value.isEmpty()) {
      return Optional.empty();
    }
    if (value.get() instanceof String text) {
      Matcher parts = LOOPBACK.matcher(text);
      int port = parts.matches() ? Integer.parseInt(parts.group(2)) : 0;
      if (port >= 1 && port <= 65_535) {
        try {
          return Optional.of(
              new InetSocketAddress(
                  InetAddress.ofLiteral(parts.group(1).replaceAll("[\\[\\]]", "")), port));
        } catch (IllegalArgumentException e) {
          throw error(key, "is no address: " + e.getMessage());
        }
      }
    }
    throw error(key, "is not 127.x.x.x:PORT or [::1]:PORT");
  }

  long number(String key, long min, long max, long absent) throws BrigException {
    Optional<Object> value = table.get(key);
    return value.isEmpty() ? absent : number(key, value.get(), min, max);
  }

  Set<Long> numbers(String key, long min, long max) throws BrigException {
    Optional<Object> value = table.get(key);
    Set<Long> numbers = new LinkedHashSet<>();
    if (value.isEmpty()) {
      return numbers;
    }
    if (!(value.get() instanceof List<?> list)) {
      throw error(key, "is not a list of numbers");
    }
    for (Object element : list) {
      numbers.add(number(key, element, min, max));
    }
    return numbers;
  }

  boolean bool(String key, boolean absent) throws BrigException {
    Optional<Object> value = table.get(key);
    if (value.isEmpty()) {
      return absent;
    }
    if (value.get() instanceof Boolean bool) {
      return bool;
    }
    throw error(key, "is not true or false");
  }

  /** One of the constants, in lower case. */
  <E extends Enum<E>> E word(String key, Class<E> type, E absent) throws BrigException {
    Optional<Object> value = table.get(key);
    if (value.isEmpty()) {
      return absent;
    }
    List<String> words = new ArrayList<>();
    for (E constant : type.getEnumConstants()) {
      String word = constant.name().toLowerCase(Locale.ROOT);
      if (word.equals(value.get())) {
        return constant;
      }
      words.add(word);
    }
    throw error(
        key,
        "is "
            + quoted(value.get())
            + ", not one of "
            + words.stream().map(Section::quoted).collect(Collectors.joining(", ")));
  }

  /** An error at the place of the key, or of the table where the key is absent. */
  BrigException error(String key, String reason) {
    return error(file, table.position(key), qualified(key) + " " + reason, "");
  }

  private long number(String key, Object value, long min, long max) throws BrigException {
    if (value instanceof Long number && number >= min && number <= max) {
      return number;
    }
    throw error(key, "is not a whole number within " + min + " to " + max);
  }

  private String qualified(String key) {
    return Stream.of(name, key).filter(part -> !part.isEmpty()).collect(Collectors.joining("."));
  }

  private static String quoted(Object value) {
    return "\"" + value + "\"";
  }

  private static BrigException error(
      String file, Optional<TomlTable.Position> position, String reason, String remedy) {
    String where = position.map(at -> file + ":" + at.line() + ":" + at.column()).orElse(file);
    return new BrigException(Kind.INVALID_ARGUMENT, STEP, where, reason, remedy);
  }
}
