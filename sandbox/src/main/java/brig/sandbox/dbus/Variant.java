package brig.sandbox.dbus;

import java.util.List;

/**
 * A value with its type. The value's Java class follows from the type: {@code y} Byte, {@code b}
 * Boolean, {@code n} Short, {@code q} and {@code i} Integer, {@code u}, {@code x} and {@code t}
 * Long ({@code t}: the same 64 bits), {@code d} Double, {@code s}, {@code o} and {@code g} String,
 * {@code v} Variant; arrays, structs and dictionary entries are lists.
 *
 * @param signature one complete type
 */
public record Variant(String signature, Object value) {

  public static Variant string(String value) {
    return new Variant("s", value);
  }

  public static Variant bool(boolean value) {
    return new Variant("b", value);
  }

  /** All bits set is what systemd takes for no limit. */
  public static Variant uint64(long value) {
    return new Variant("t", value);
  }

  public static Variant bytes(byte[] value) {
    List<Object> bytes = new java.util.ArrayList<>(value.length);
    for (byte one : value) {
      bytes.add(one);
    }
    return new Variant("ay", bytes);
  }

  public static Variant uint32s(List<Long> values) {
    return new Variant("au", values);
  }
}
