package brig.sandbox.dbus;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/**
 * One message.
 *
 * @param path empty where it has none, as with the other header fields
 * @param replySerial of the call that it answers; 0: none
 * @param body values as {@link Variant} describes them
 */
record Message(
    Type type,
    long serial,
    String path,
    String iface,
    String member,
    String errorName,
    long replySerial,
    String destination,
    String signature,
    List<Object> body) {

  enum Type {
    CALL(1),
    RETURN(2),
    ERROR(3),
    SIGNAL(4),
    /** Of a later version of the protocol: to be passed over. */
    OTHER(0);

    private final int code;

    Type(int code) {
      this.code = code;
    }

    private static Type of(int code) throws DBusException {
      if (code == 0) {
        throw new DBusException.Malformed("a message of type 0");
      }
      for (Type type : values()) {
        if (type.code == code) {
          return type;
        }
      }
      return OTHER;
    }
  }

  /** What stands before the header fields: enough to know a message's length. */
  static final int FIXED = 16;

  /** Far more than systemd ever says to us; the protocol's own bound is 128 MiB. */
  static final int LONGEST = 1 << 20;

  private static final String FIELDS = "a(yv)";
  private static final byte LITTLE = 'l';
  private static final byte BIG = 'B';
  private static final byte VERSION = 1;
  private static final byte PATH = 1;
  private static final byte INTERFACE = 2;
  private static final byte MEMBER = 3;
  private static final byte ERROR_NAME = 4;
  private static final byte REPLY_SERIAL = 5;
  private static final byte DESTINATION = 6;
  private static final byte SIGNATURE = 8;

  Message {
    body = List.copyOf(body);
  }

  static Message call(
      long serial,
      String destination,
      String path,
      String iface,
      String member,
      String signature,
      List<Object> body) {
    return new Message(Type.CALL, serial, path, iface, member, "", 0, destination, signature, body);
  }

  byte[] encode() throws DBusException {
    Writer values = new Writer();
    values.all(signature, body);
    List<Object> fields = new ArrayList<>();
    field(fields, PATH, "o", path);
    field(fields, INTERFACE, "s", iface);
    field(fields, MEMBER, "s", member);
    field(fields, ERROR_NAME, "s", errorName);
    if (replySerial != 0) {
      fields.add(List.of(REPLY_SERIAL, new Variant("u", replySerial)));
    }
    field(fields, DESTINATION, "s", destination);
    field(fields, SIGNATURE, "g", signature);
    Writer whole = new Writer();
    whole.all(
        "yyyyuu" + FIELDS,
        List.of(
            LITTLE, (byte) type.code, (byte) 0, VERSION, (long) values.length(), serial, fields));
    whole.align(8);
    byte[] head = whole.bytes();
    byte[] bytes = java.util.Arrays.copyOf(head, head.length + values.length());
    System.arraycopy(values.bytes(), 0, bytes, head.length, values.length());
    return bytes;
  }

  private static void field(List<Object> fields, byte code, String type, String value) {
    if (!value.isEmpty()) {
      fields.add(List.of(code, new Variant(type, value)));
    }
  }

  /** How long the message is whose first {@link #FIXED} bytes these are. */
  static int length(byte[] fixed) throws DBusException {
    ByteBuffer buffer = ByteBuffer.wrap(fixed).order(order(fixed[0]));
    long body = Integer.toUnsignedLong(buffer.getInt(4));
    long fields = Integer.toUnsignedLong(buffer.getInt(12));
    long length = FIXED + (fields + 7) / 8 * 8 + body;
    if (length > LONGEST) {
      throw new DBusException.Malformed("a message of " + length + " bytes");
    }
    return (int) length;
  }

  private static ByteOrder order(byte mark) throws DBusException {
    return switch (mark) {
      case LITTLE -> ByteOrder.LITTLE_ENDIAN;
      case BIG -> ByteOrder.BIG_ENDIAN;
      default -> throw new DBusException.Malformed("no byte order");
    };
  }

  /**
   * @param bytes exactly as many as {@link #length} says
   */
  static Message decode(byte[] bytes) throws DBusException {
    if (bytes.length < FIXED || bytes.length != length(bytes)) {
      throw new DBusException.Malformed(bytes.length + " bytes are no message");
    }
    Reader reader = new Reader(bytes, order(bytes[0]));
    List<Object> fixed = reader.all("yyyyuu");
    Type type = Type.of((Byte) fixed.get(1));
    if ((Byte) fixed.get(3) != VERSION) {
      throw new DBusException.Malformed("version " + fixed.get(3));
    }
    Fields fields = new Fields();
    for (Object field : (List<?>) reader.value(FIELDS)) {
      fields.take((List<?>) field);
    }
    reader.align(8);
    List<Object> body = reader.all(fields.signature);
    if (!reader.atEnd()) {
      throw new DBusException.Malformed("more than its signature says");
    }
    return new Message(
        type,
        (Long) fixed.get(5),
        fields.path,
        fields.iface,
        fields.member,
        fields.errorName,
        fields.replySerial,
        fields.destination,
        fields.signature,
        body);
  }

  /** Header fields while they are collected; unknown ones are passed over, as the protocol asks. */
  private static final class Fields {
    private String path = "";
    private String iface = "";
    private String member = "";
    private String errorName = "";
    private String destination = "";
    private String signature = "";
    private long replySerial;

    private void take(List<?> field) throws DBusException {
      Variant value = (Variant) field.get(1);
      switch ((Byte) field.get(0)) {
        case PATH -> path = text(value, "o");
        case INTERFACE -> iface = text(value, "s");
        case MEMBER -> member = text(value, "s");
        case ERROR_NAME -> errorName = text(value, "s");
        case DESTINATION -> destination = text(value, "s");
        case SIGNATURE -> signature = text(value, "g");
        case REPLY_SERIAL -> {
          check(value, "u");
          replySerial = (Long) value.value();
        }
        default -> {}
      }
    }

    private static String text(Variant value, String type) throws DBusException {
      check(value, type);
      return (String) value.value();
    }

    private static void check(Variant value, String type) throws DBusException {
      if (!value.signature().equals(type)) {
        throw new DBusException.Malformed("a header field of type " + value.signature());
      }
    }
  }
}
