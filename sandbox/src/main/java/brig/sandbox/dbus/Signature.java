package brig.sandbox.dbus;

import java.util.ArrayList;
import java.util.List;

/** Type signatures: cut into complete types, checked for their bounds. */
final class Signature {
  static final int LONGEST = 255;
  private static final int DEEPEST = 32;
  private static final String BASIC = "ybnqiuxtdsog";

  private Signature() {}

  /** The complete types that a signature consists of. */
  static List<String> types(String signature) throws DBusException {
    if (signature.length() > LONGEST) {
      throw new DBusException.Malformed("a signature of " + signature.length() + " characters");
    }
    List<String> types = new ArrayList<>();
    int at = 0;
    while (at < signature.length()) {
      int end = end(signature, at, 0);
      types.add(signature.substring(at, end));
      at = end;
    }
    return types;
  }

  /** Checks that it is one complete type. */
  static String single(String signature) throws DBusException {
    if (types(signature).size() != 1) {
      throw malformed(signature);
    }
    return signature;
  }

  private static int end(String signature, int at, int depth) throws DBusException {
    if (at >= signature.length() || depth > DEEPEST) {
      throw malformed(signature);
    }
    char type = signature.charAt(at);
    if (BASIC.indexOf(type) >= 0 || type == 'v') {
      return at + 1;
    }
    if (type == 'a') {
      if (at + 1 < signature.length() && signature.charAt(at + 1) == '{') {
        return entryEnd(signature, at + 1, depth + 1);
      }
      return end(signature, at + 1, depth + 1);
    }
    if (type != '(') {
      throw malformed(signature);
    }
    int next = at + 1;
    do {
      next = end(signature, next, depth + 1);
    } while (next < signature.length() && signature.charAt(next) != ')');
    return close(signature, next, ')');
  }

  /** A basic key and one value, only ever in an array. */
  private static int entryEnd(String signature, int at, int depth) throws DBusException {
    if (at + 1 >= signature.length() || BASIC.indexOf(signature.charAt(at + 1)) < 0) {
      throw malformed(signature);
    }
    return close(signature, end(signature, at + 2, depth + 1), '}');
  }

  private static int close(String signature, int at, char bracket) throws DBusException {
    if (at >= signature.length() || signature.charAt(at) != bracket) {
      throw malformed(signature);
    }
    return at + 1;
  }

  private static DBusException malformed(String signature) {
    return new DBusException.Malformed("\"" + signature + "\" is no signature");
  }

  static int alignment(char type) {
    return switch (type) {
      case 'y', 'g', 'v' -> 1;
      case 'n', 'q' -> 2;
      case 'x', 't', 'd', '(', '{' -> 8;
      default -> 4;
    };
  }
}
