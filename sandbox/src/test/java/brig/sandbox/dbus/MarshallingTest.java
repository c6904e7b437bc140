package brig.sandbox.dbus;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.List;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

/** What is written is read again, and nothing else is. */
final class MarshallingTest {

  /** A type with a value of it. */
  @Provide
  Arbitrary<Variant> values() {
    Arbitrary<Variant> basic =
        Arbitraries.oneOf(
            Arbitraries.bytes().map(value -> new Variant("y", value)),
            Arbitraries.of(true, false).map(value -> new Variant("b", value)),
            Arbitraries.shorts().map(value -> new Variant("n", value)),
            Arbitraries.integers().between(0, 65535).map(value -> new Variant("q", value)),
            Arbitraries.integers().map(value -> new Variant("i", value)),
            Arbitraries.longs().between(0, 0xffffffffL).map(value -> new Variant("u", value)),
            Arbitraries.longs().map(value -> new Variant("x", value)),
            Arbitraries.longs().map(value -> new Variant("t", value)),
            Arbitraries.strings()
                .excludeChars('\0')
                .ofMaxLength(20)
                .filter(text -> !text.chars().anyMatch(c -> Character.isSurrogate((char) c)))
                .map(value -> new Variant("s", value)));
    return Arbitraries.lazyOf(
        () -> basic,
        () -> basic,
        () -> values().map(value -> new Variant("v", value)),
        () ->
            values()
                .flatMap(first ->
                    Arbitraries.integers()
                        .between(0, 3)
                        .map(count ->
                            new Variant(
                                "a" + first.signature(),
                                java.util.Collections.nCopies(count, first.value())))),
        () ->
            values()
                .list()
                .ofMinSize(1)
                .ofMaxSize(4)
                .map(fields ->
                    new Variant(
                        "("
                            + String.join("", fields.stream().map(Variant::signature).toList())
                            + ")",
                        fields.stream().map(Variant::value).toList())));
  }

  @Property(tries = 1000)
  void whatIsWrittenIsReadAgain(@ForAll("values") Variant value) throws DBusException {
    if (value.signature().length() > 60) {
      return;
    }
    Writer writer = new Writer();
    writer.value("y", (byte) 7);
    writer.value(value.signature(), value.value());
    Reader reader = new Reader(writer.bytes(), ByteOrder.LITTLE_ENDIAN);
    assertThat(reader.value("y")).isEqualTo((byte) 7);
    assertThat(reader.value(value.signature())).isEqualTo(value.value());
    assertThat(reader.atEnd()).isTrue();
  }

  private static Message call() {
    return Message.call(
        3,
        "org.freedesktop.systemd1",
        "/org/freedesktop/systemd1",
        "org.freedesktop.systemd1.Manager",
        "StartTransientUnit",
        "ssa(sv)a(sa(sv))",
        List.of(
            "a.scope",
            "fail",
            List.of(
                List.of("PIDs", Variant.uint32s(List.of(1L, 2L))),
                List.of("AllowedCPUs", Variant.bytes(new byte[] {3}))),
            List.of()));
  }

  @Test
  void aMessageIsReadAgain() throws DBusException {
    assertThat(Message.decode(call().encode())).isEqualTo(call());
  }

  /** Written down from the specification's rules, by hand. */
  @Test
  void aMessageIsWhatTheSpecificationSays() throws DBusException {
    byte[] bytes = Message.call(1, "", "/", "", "M", "y", List.of((byte) 9)).encode();
    assertThat(bytes)
        .isEqualTo(
            new byte[] {
              'l', 1, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 39, 0, 0, 0, //
              1, 1, 'o', 0, 1, 0, 0, 0, '/', 0, 0, 0, 0, 0, 0, 0, //
              3, 1, 's', 0, 1, 0, 0, 0, 'M', 0, 0, 0, 0, 0, 0, 0, //
              8, 1, 'g', 0, 1, 'y', 0, 0, 9
            });
  }

  @Property(tries = 3000)
  void anyBytesAreReadOrRefused(@ForAll byte[] bytes) {
    decode(bytes);
  }

  @Property(tries = 5000)
  void aMessageWithBytesChangedIsReadOrRefused(
      @ForAll("places") int place, @ForAll byte value, @ForAll("places") int cut)
      throws DBusException {
    byte[] bytes = call().encode();
    bytes[place % bytes.length] = value;
    decode(bytes);
    decode(Arrays.copyOf(bytes, cut % bytes.length));
  }

  @Provide
  Arbitrary<Integer> places() {
    return Arbitraries.integers().between(0, Integer.MAX_VALUE);
  }

  private static void decode(byte[] bytes) {
    try {
      assertThat(Message.decode(bytes)).isNotNull();
    } catch (DBusException e) {
      assertThat(e).isInstanceOf(DBusException.Malformed.class);
    }
  }

  @Test
  void nestingHasAnEnd() {
    for (String signature :
        List.of("a".repeat(100) + "y", "(".repeat(100), "a{vs}", "()", "a", "z")) {
      assertThatThrownBy(() -> Signature.types(signature))
          .as(signature)
          .isInstanceOf(DBusException.Malformed.class);
    }
  }
}
