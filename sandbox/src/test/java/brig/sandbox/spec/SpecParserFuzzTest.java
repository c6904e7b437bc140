package brig.sandbox.spec;

import static org.assertj.core.api.Assertions.assertThat;

import brig.sandbox.BrigException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Objects;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;

/** Whatever the bytes are, the parser answers or refuses; it never fails in another way. */
final class SpecParserFuzzTest {
  private static final byte[] REAL = real();

  private static byte[] real() {
    try (InputStream in =
        Objects.requireNonNull(
            SpecParserFuzzTest.class.getResourceAsStream("/brig/sandbox/ctr-seccomp-spec.json"))) {
      return in.readAllBytes();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  private static void parse(byte[] bytes) {
    try {
      assertThat(SpecParser.parse(bytes)).isNotNull();
    } catch (BrigException e) {
      assertThat(e.kind()).isEqualTo(BrigException.Kind.INVALID_ARGUMENT);
      assertThat(e.getMessage()).startsWith("read config.json: ");
    }
  }

  @Property(tries = 2000)
  void anyBytes(@ForAll byte[] bytes) {
    parse(bytes);
  }

  @Property(tries = 2000)
  void aRealSpecWithBytesChanged(
      @ForAll("places") int place, @ForAll byte value, @ForAll("places") int cut) {
    byte[] bytes = REAL.clone();
    bytes[place % bytes.length] = value;
    parse(bytes);
    parse(Arrays.copyOf(bytes, cut % bytes.length));
  }

  @Provide
  Arbitrary<Integer> places() {
    return Arbitraries.integers().between(0, Integer.MAX_VALUE);
  }

  @Property(tries = 1000)
  void jsonOfTheWrongShapeInTheRightPlaces(@ForAll("documents") String document) {
    parse(document.getBytes(StandardCharsets.UTF_8));
  }

  /** Documents of the specification's own names with values that belong elsewhere. */
  @Provide
  Arbitrary<String> documents() {
    return documents(4);
  }

  private static Arbitrary<String> documents(int depth) {
    Arbitrary<String> name =
        Arbitraries.of(
            "ociVersion",
            "process",
            "args",
            "env",
            "cwd",
            "user",
            "uid",
            "root",
            "path",
            "mounts",
            "destination",
            "options",
            "linux",
            "namespaces",
            "type",
            "resources",
            "memory",
            "limit",
            "seccomp",
            "defaultAction",
            "syscalls",
            "names",
            "action",
            "hooks",
            "prestart",
            "timeOffsets",
            "uidMappings",
            "size",
            "rlimits",
            "devices",
            "unified");
    Arbitrary<String> leaf =
        Arbitraries.of(
            "null",
            "true",
            "-1",
            "0",
            "1e30",
            "0.5",
            "18446744073709551616",
            "\"\"",
            "\"1.2.0\"",
            "\"/\"",
            "\"..\"",
            "[]",
            "{}",
            "\"mount\"",
            "\"SCMP_ACT_ALLOW\"",
            "\"\\ud800\"");
    Arbitrary<String> json =
        depth == 0
            ? leaf
            : Arbitraries.oneOf(
                leaf,
                documents(depth - 1),
                documents(depth - 1)
                    .list()
                    .ofMaxSize(2)
                    .map(all -> "[" + String.join(",", all) + "]"));
    return Combinators.combine(name.list().uniqueElements().ofMaxSize(5), json.list().ofSize(5))
        .as((names, values) -> {
          StringBuilder object = new StringBuilder("{\"ociVersion\":\"1.2.0\"");
          for (int i = 0; i < names.size(); i++) {
            if (!names.get(i).equals("ociVersion")) {
              object.append(",\"").append(names.get(i)).append("\":").append(values.get(i));
            }
          }
          return object.append('}').toString();
        });
  }
}
