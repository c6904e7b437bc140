package brig.sandbox.dbus;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * Unmarshals values that a stranger marshalled: each length is checked against what is left before
 * anything is made of it, padding must be zero, and nesting has an end.
 */
final class Reader {
  /** Of variants in variants; signatures bound the rest. */
  private static final int DEEPEST = 64;

  private final ByteBuffer buffer;
  private int depth;

  Reader(byte[] bytes, ByteOrder order) {
    this.buffer = ByteBuffer.wrap(bytes).order(order);
  }

  boolean atEnd() {
    return !buffer.hasRemaining();
  }

  List<Object> all(String signature) throws DBusException {
    List<Object> values = new ArrayList<>();
    for (String type : Signature.types(signature)) {
      values.add(value(type));
    }
    return values;
  }

  Object value(String type) throws DBusException {
    char code = type.charAt(0);
    align(Signature.alignment(code));
    try {
      return switch (code) {
        case 'y' -> buffer.get();
        case 'b' -> bool(buffer.getInt());
        case 'n' -> buffer.getShort();
        case 'q' -> Short.toUnsignedInt(buffer.getShort());
        case 'i' -> buffer.getInt();
        case 'u' -> Integer.toUnsignedLong(buffer.getInt());
        case 'x', 't' -> buffer.getLong();
        case 'd' -> buffer.getDouble();
        case 's', 'o' -> text(length(buffer.getInt()));
        case 'g' -> text(Byte.toUnsignedInt(buffer.get()));
        case 'v' -> variant();
        case 'a' -> array(type.substring(1));
        case '(', '{' -> all(type.substring(1, type.length() - 1));
        default -> throw new DBusException.Malformed("type " + code);
      };
    } catch (BufferUnderflowException e) {
      throw new DBusException.Malformed("it ends within a value of type " + code);
    }
  }

  private static Boolean bool(int value) throws DBusException {
    if (value != 0 && value != 1) {
      throw new DBusException.Malformed("a truth value of " + value);
    }
    return value == 1;
  }

  private int length(int value) throws DBusException {
    if (value < 0 || value > buffer.remaining()) {
      throw new DBusException.Malformed(
          "a length of "
              + Integer.toUnsignedString(value)
              + " with "
              + buffer.remaining()
              + " left");
    }
    return value;
  }

  private String text(int length) throws DBusException {
    byte[] bytes = new byte[length(length)];
    buffer.get(bytes);
    if (buffer.get() != 0) {
      throw new DBusException.Malformed("a string without an end");
    }
    try {
      String text = StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes)).toString();
      if (text.indexOf('\0') >= 0) {
        throw new DBusException.Malformed("a string with a zero in it");
      }
      return text;
    } catch (CharacterCodingException e) {
      throw new DBusException.Malformed("a string that is not UTF-8");
    }
  }

  private Variant variant() throws DBusException {
    depth++;
    if (depth > DEEPEST) {
      throw new DBusException.Malformed("variants in variants without end");
    }
    String signature = Signature.single(text(Byte.toUnsignedInt(buffer.get())));
    Variant variant = new Variant(signature, value(signature));
    depth--;
    return variant;
  }

  private List<Object> array(String element) throws DBusException {
    int length = length(buffer.getInt());
    align(Signature.alignment(element.charAt(0)));
    int end = buffer.position() + length(length);
    List<Object> values = new ArrayList<>();
    while (buffer.position() < end) {
      values.add(value(element));
    }
    if (buffer.position() != end) {
      throw new DBusException.Malformed("an array whose last element is beyond its end");
    }
    return values;
  }

  void align(int to) throws DBusException {
    while (buffer.position() % to != 0) {
      if (!buffer.hasRemaining() || buffer.get() != 0) {
        throw new DBusException.Malformed("padding that is missing or not zero");
      }
    }
  }
}
