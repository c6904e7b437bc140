package brig.sandbox.spec;

import java.math.BigDecimal;
import java.util.List;
import java.util.Map;

/** A JSON document as an immutable tree. */
sealed interface Json {
  /** An object; the order of its members is kept. */
  record Obj(Map<String, Json> members) implements Json {}

  record Arr(List<Json> elements) implements Json {}

  record Str(String value) implements Json {}

  record Num(BigDecimal value) implements Json {}

  record Bool(boolean value) implements Json {}

  record Null() implements Json {}

  /** For messages: what kind of value this is. */
  default String kind() {
    return switch (this) {
      case Obj o -> "an object";
      case Arr a -> "an array";
      case Str s -> "a string";
      case Num n -> "a number";
      case Bool b -> "a boolean";
      case Null n -> "null";
    };
  }
}
