package brig.testing.faults;

/** The bytes that {@code brig-probe fill} writes: a 64-bit counter, little-endian. */
public final class Sequence {

  private Sequence() {}

  /** Whether this byte belongs at this place. */
  public static boolean isRight(long place, byte value) {
    return value == (byte) (place / 8 >>> place % 8 * 8);
  }

  static void check(String what, byte[] bytes, int wanted, Ledger ledger) {
    ledger.expect(what + ", bytes", wanted, bytes.length);
    for (int place = 0; place < bytes.length; place++) {
      if (!isRight(place, bytes[place])) {
        ledger.problem(what + ": the byte at " + place + " is none that was written there");
        return;
      }
    }
  }
}
