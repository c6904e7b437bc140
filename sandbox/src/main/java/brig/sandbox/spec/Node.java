package brig.sandbox.spec;

import brig.sandbox.BrigException;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Set;
import java.util.function.Function;

/**
 * A place in a JSON tree and its path. Asks for what should be there and says what is wrong. A
 * member that is null counts as absent, as Go's encoder writes empty lists and maps.
 */
final class Node {
  private static final BigInteger U64_MAX = BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);
  static final long U32_MAX = 0xffff_ffffL;

  private final String document;
  private final String path;
  private final Json json;

  private Node(String document, String path, Json json) {
    this.document = document;
    this.path = path;
    this.json = json;
  }

  static Node read(byte[] bytes, String document) throws BrigException {
    return new Node(document, "", JsonReader.read(bytes, document));
  }

  /** Turns a node into a value. */
  interface Decoder<T> {
    T decode(Node node) throws BrigException;
  }

  BrigException error(String reason) {
    return JsonReader.error(document, path, reason);
  }

  /** An error about the named member. */
  BrigException error(String member, String reason) {
    return JsonReader.error(document, memberPath(member), reason);
  }

  private String memberPath(String member) {
    return path.isEmpty() ? member : path + "." + member;
  }

  private Map<String, Json> members() throws BrigException {
    if (json instanceof Json.Obj(Map<String, Json> members)) {
      return members;
    }
    throw error("is " + json.kind() + ", not an object");
  }

  Optional<Node> member(String name) throws BrigException {
    Json value = members().get(name);
    if (value == null || value instanceof Json.Null) {
      return Optional.empty();
    }
    return Optional.of(new Node(document, memberPath(name), value));
  }

  Node require(String name) throws BrigException {
    Optional<Node> found = member(name);
    if (found.isEmpty()) {
      throw error(name, "is missing");
    }
    return found.get();
  }

  <T> Optional<T> optional(String name, Decoder<T> decoder) throws BrigException {
    Optional<Node> found = member(name);
    return found.isEmpty() ? Optional.empty() : Optional.of(decoder.decode(found.get()));
  }

  <T> T optional(String name, Decoder<T> decoder, T absent) throws BrigException {
    Optional<Node> found = member(name);
    return found.isEmpty() ? absent : decoder.decode(found.get());
  }

  String string(String name) throws BrigException {
    return optional(name, Node::string, "");
  }

  boolean bool(String name) throws BrigException {
    return optional(name, Node::bool, false);
  }

  OptionalLong integer(String name, long min, long max) throws BrigException {
    Optional<Node> found = member(name);
    return found.isEmpty() ? OptionalLong.empty() : OptionalLong.of(found.get().integer(min, max));
  }

  OptionalInt smallInteger(String name, int min, int max) throws BrigException {
    Optional<Node> found = member(name);
    return found.isEmpty()
        ? OptionalInt.empty()
        : OptionalInt.of((int) found.get().integer(min, max));
  }

  OptionalLong unsigned(String name) throws BrigException {
    Optional<Node> found = member(name);
    return found.isEmpty() ? OptionalLong.empty() : OptionalLong.of(found.get().unsigned());
  }

  <T> List<T> list(String name, Decoder<T> element) throws BrigException {
    return optional(name, node -> node.list(element), List.of());
  }

  <T> Set<T> set(String name, Decoder<T> element) throws BrigException {
    Set<T> all = new LinkedHashSet<>(list(name, element));
    return Collections.unmodifiableSet(all);
  }

  <T> Map<String, T> map(String name, Decoder<T> value) throws BrigException {
    return optional(name, node -> node.map(value), Map.of());
  }

  String string() throws BrigException {
    if (json instanceof Json.Str(String value)) {
      return value;
    }
    throw error("is " + json.kind() + ", not a string");
  }

  String nonEmptyString() throws BrigException {
    String value = string();
    if (value.isEmpty()) {
      throw error("is empty");
    }
    return value;
  }

  /** A path that begins with a slash. */
  String absolutePath() throws BrigException {
    String value = string();
    if (!value.startsWith("/")) {
      throw error("is \"" + value + "\", not an absolute path");
    }
    return value;
  }

  boolean bool() throws BrigException {
    if (json instanceof Json.Bool(boolean value)) {
      return value;
    }
    throw error("is " + json.kind() + ", not true or false");
  }

  long integer(long min, long max) throws BrigException {
    BigInteger value = whole();
    if (value.compareTo(BigInteger.valueOf(min)) < 0
        || value.compareTo(BigInteger.valueOf(max)) > 0) {
      throw error("is " + value + ", not within " + min + " to " + max);
    }
    return value.longValueExact();
  }

  /** An unsigned 64-bit number, as the bits of the long. */
  long unsigned() throws BrigException {
    BigInteger value = whole();
    if (value.signum() < 0 || value.compareTo(U64_MAX) > 0) {
      throw error("is " + value + ", not within 0 to " + U64_MAX);
    }
    return value.longValue();
  }

  private BigInteger whole() throws BrigException {
    if (json instanceof Json.Num(BigDecimal value)) {
      try {
        return value.toBigIntegerExact();
      } catch (ArithmeticException e) {
        throw error("is " + value + ", not a whole number");
      }
    }
    throw error("is " + json.kind() + ", not a number");
  }

  <T> List<T> list(Decoder<T> element) throws BrigException {
    if (json instanceof Json.Arr(List<Json> elements)) {
      List<T> all = new ArrayList<>(elements.size());
      for (int i = 0; i < elements.size(); i++) {
        all.add(element.decode(new Node(document, path + "[" + i + "]", elements.get(i))));
      }
      return Collections.unmodifiableList(all);
    }
    throw error("is " + json.kind() + ", not an array");
  }

  <T> Map<String, T> map(Decoder<T> value) throws BrigException {
    Map<String, T> all = new LinkedHashMap<>();
    for (Map.Entry<String, Json> member : members().entrySet()) {
      Node node = new Node(document, memberPath(member.getKey()), member.getValue());
      all.put(member.getKey(), value.decode(node));
    }
    return Collections.unmodifiableMap(all);
  }

  /** One of the names that the specification knows. */
  <E> E oneOf(Function<String, Optional<E>> byName) throws BrigException {
    return named(string(), byName);
  }

  /** {@code text} as one of the names that the specification knows. */
  <E> E named(String text, Function<String, Optional<E>> byName) throws BrigException {
    Optional<E> value = byName.apply(text);
    if (value.isEmpty()) {
      throw error("unknown value \"" + text + "\"");
    }
    return value.get();
  }
}
