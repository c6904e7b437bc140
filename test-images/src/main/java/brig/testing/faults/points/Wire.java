package brig.testing.faults.points;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.UnknownFieldSet;

/**
 * A protobuf message read by field numbers, which are those of the contracts' files: what is
 * watched is not parsed by the code that made it.
 */
record Wire(UnknownFieldSet fields) {

  static Wire of(ByteString bytes) {
    try {
      return new Wire(UnknownFieldSet.parseFrom(bytes));
    } catch (InvalidProtocolBufferException e) {
      throw new IllegalArgumentException("a frame that is no message", e);
    }
  }

  boolean has(int field) {
    return fields.hasField(field);
  }

  /** A message within the message, the first of several; empty where it is absent. */
  Wire message(int field) {
    return of(bytes(field));
  }

  String text(int field) {
    return bytes(field).toStringUtf8();
  }

  ByteString bytes(int field) {
    var all = fields.getField(field).getLengthDelimitedList();
    return all.isEmpty() ? ByteString.EMPTY : all.getFirst();
  }

  long number(int field) {
    var all = fields.getField(field).getVarintList();
    return all.isEmpty() ? 0 : all.getLast();
  }
}
