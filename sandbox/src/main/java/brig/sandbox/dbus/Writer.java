package brig.sandbox.dbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/** Marshals values, little endian, aligned from its own beginning. */
final class Writer {
  private ByteBuffer buffer = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);

  byte[] bytes() {
    return Arrays.copyOf(buffer.array(), buffer.position());
  }

  int length() {
    return buffer.position();
  }

  void all(String signature, List<?> values) throws DBusException {
    List<String> types = Signature.types(signature);
    if (types.size() != values.size()) {
      throw new IllegalArgumentException(values.size() + " values for " + signature);
    }
    for (int i = 0; i < types.size(); i++) {
      value(types.get(i), values.get(i));
    }
  }

  /**
   * @param type one complete type; a value of another class is a fault of the caller's
   */
  void value(String type, Object value) throws DBusException {
    char code = type.charAt(0);
    align(Signature.alignment(code));
    switch (code) {
      case 'y' -> room(1).put((Byte) value);
      case 'b' -> room(4).putInt((Boolean) value ? 1 : 0);
      case 'n' -> room(2).putShort((Short) value);
      case 'q' -> room(2).putShort((short) (int) (Integer) value);
      case 'i' -> room(4).putInt((Integer) value);
      case 'u' -> room(4).putInt((int) (long) (Long) value);
      case 'x', 't' -> room(8).putLong((Long) value);
      case 'd' -> room(8).putDouble((Double) value);
      case 's', 'o' -> string((String) value);
      case 'g' -> signature((String) value);
      case 'v' -> variant((Variant) value);
      case 'a' -> array(type.substring(1), (List<?>) value);
      case '(', '{' -> all(type.substring(1, type.length() - 1), (List<?>) value);
      default -> throw new IllegalArgumentException(type);
    }
  }

  private void string(String value) {
    if (value.indexOf('\0') >= 0) {
      throw new IllegalArgumentException("a string with a zero in it");
    }
    byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
    room(bytes.length + 5).putInt(bytes.length).put(bytes).put((byte) 0);
  }

  private void signature(String value) {
    byte[] bytes = value.getBytes(StandardCharsets.US_ASCII);
    room(bytes.length + 2).put((byte) bytes.length).put(bytes).put((byte) 0);
  }

  private void variant(Variant variant) throws DBusException {
    signature(Signature.single(variant.signature()));
    value(variant.signature(), variant.value());
  }

  private void array(String element, List<?> values) throws DBusException {
    int place = buffer.position();
    room(4).putInt(0);
    // The padding before the first element doesn't count, and is there for no element, too.
    align(Signature.alignment(element.charAt(0)));
    int begin = buffer.position();
    for (Object value : values) {
      value(element, value);
    }
    buffer.putInt(place, buffer.position() - begin);
  }

  void align(int to) {
    while (buffer.position() % to != 0) {
      room(1).put((byte) 0);
    }
  }

  private ByteBuffer room(int bytes) {
    if (buffer.remaining() < bytes) {
      int capacity = Math.max(buffer.capacity() * 2, buffer.position() + bytes);
      buffer =
          ByteBuffer.wrap(Arrays.copyOf(buffer.array(), capacity))
              .order(ByteOrder.LITTLE_ENDIAN)
              .position(buffer.position());
    }
    return buffer;
  }
}
