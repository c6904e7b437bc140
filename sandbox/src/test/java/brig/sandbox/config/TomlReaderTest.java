package brig.sandbox.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** By the rules of TOML 1.0. */
final class TomlReaderTest {
  private static Object plain(Object value) {
    return switch (value) {
      case TomlTable table -> {
        Map<String, Object> map = new LinkedHashMap<>();
        table.keys().forEach(key -> map.put(key, plain(table.get(key).orElseThrow())));
        yield map;
      }
      case List<?> list -> list.stream().map(TomlReaderTest::plain).toList();
      default -> value;
    };
  }

  private static Object read(String text) throws TomlException {
    return plain(TomlReader.read(text));
  }

  @Test
  void valuesOfEachKindAreRead() throws TomlException {
    assertThat(
            read(
                """
                # a comment
                text = "a\\tb \\u00e9 \\U0001F600 \\"q\\" \\\\" # after it
                literal = 'C:\\no\\escape'
                empty = ""
                whole = -1_000
                hex = 0xDEAD_beef
                octal = 0o755
                binary = 0b1010
                least = -9223372036854775808
                float = 6.02e+23
                yes = true
                no = false
                list = [ 1, 2, # one more
                  3, ]
                nested = [[1], ["a", {x = 1}]]
                """))
        .isEqualTo(
            Map.ofEntries(
                Map.entry("text", "a\tb \u00e9 \ud83d\ude00 \"q\" \\"),
                Map.entry("literal", "C:\\no\\escape"),
                Map.entry("empty", ""),
                Map.entry("whole", -1000L),
                Map.entry("hex", 0xDEADBEEFL),
                Map.entry("octal", 0755L),
                Map.entry("binary", 10L),
                Map.entry("least", Long.MIN_VALUE),
                Map.entry("float", 6.02e23),
                Map.entry("yes", true),
                Map.entry("no", false),
                Map.entry("list", List.of(1L, 2L, 3L)),
                Map.entry("nested", List.of(List.of(1L), List.of("a", Map.of("x", 1L))))));
  }

  @Test
  void longStringsKeepTheirLines() throws TomlException {
    assertThat(read("a = \"\"\"\nfirst\r\nse\\\n   \n  cond\"\"\"\"\n"))
        .isEqualTo(Map.of("a", "first\nsecond\""));
    assertThat(read("a = '''\nas\\it 'is'''''\n")).isEqualTo(Map.of("a", "as\\it 'is''"));
  }

  @Test
  void tablesAreMadeByHeadersByDottedKeysAndInBraces() throws TomlException {
    assertThat(
            read(
                """
                a.b."c.d" = 1
                a . e = 2
                [t.u]
                x = 1
                [t]
                y = 2
                ['quoted'.z]
                [[list]]
                n = 1
                [list.sub]
                m = 1
                [[list]]
                inline = { p = 1, q.r = "s" }
                """))
        .isEqualTo(
            Map.of(
                "a", Map.of("b", Map.of("c.d", 1L), "e", 2L),
                "t", Map.of("u", Map.of("x", 1L), "y", 2L),
                "quoted", Map.of("z", Map.of()),
                "list",
                    List.of(
                        Map.of("n", 1L, "sub", Map.of("m", 1L)),
                        Map.of("inline", Map.of("p", 1L, "q", Map.of("r", "s"))))));
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "a",
        "a =",
        "a = 1 b = 2",
        "= 1",
        "a = 1\na = 2",
        "a.b = 1\na = 2",
        "a = 1\na.b = 2",
        "[a]\n[a]",
        "a.b = 1\n[a]",
        "[a.b]\n[a]\nb.c = 1",
        "a = {b = 1}\n[a.c]",
        "a = {b = 1}\na.c = 2",
        "a = {b = 1,}",
        "a = {b = 1\n}",
        "a = {b = 1, b = 2}",
        "a = []\n[[a]]",
        "[[a]]\n[a]",
        "[a",
        "[a]]",
        "[[a]",
        "[]",
        "[a] b = 1",
        "a = [1",
        "a = [1 2]",
        "a = [,]",
        "a = \"x",
        "a = \"x\ny\"",
        "a = \"\\x\"",
        "a = \"\\ud800\"",
        "a = \"\\U00110000\"",
        "a = \"\\u12g4\"",
        "a = \"\"\"x",
        "a = 'x",
        "a = '''x",
        "a = \"\u0001\"",
        "# \u0007",
        "a = 01",
        "a = +0x1",
        "a = 0x_1",
        "a = 0x1_",
        "a = 0xg",
        "a = 1__0",
        "a = _1",
        "a = 1_",
        "a = 1.",
        "a = .5",
        "a = 1e",
        "a = 9223372036854775808",
        "a = True",
        "a = 1979-05-27",
        "a = 07:32:00",
        "a\\b = 1",
        "\"\"\"a\"\"\" = 1"
      })
  void whatIsNoTomlIsRefused(String text) {
    assertThatThrownBy(() -> TomlReader.read(text)).isInstanceOf(TomlException.class);
  }

  @Test
  void aRefusalSaysWhere() {
    assertThatThrownBy(() -> TomlReader.read("a = 1\n\n  b = [1,\n    ?]\n"))
        .isInstanceOfSatisfying(
            TomlException.class,
            refused -> assertThat(refused.position()).isEqualTo(new TomlTable.Position(4, 5)))
        .hasMessageContaining("'?' where a value was expected");
  }

  @Test
  void nestingWithoutEndIsRefused() {
    assertThatThrownBy(() -> TomlReader.read("a = " + "[".repeat(100_000)))
        .isInstanceOf(TomlException.class)
        .hasMessageContaining("nested too deeply");
    assertThatThrownBy(() -> TomlReader.read("a = " + "{b = ".repeat(100_000)))
        .isInstanceOf(TomlException.class)
        .hasMessageContaining("nested too deeply");
  }

  @Test
  void numbersWithoutEndAreRefused() {
    assertThatThrownBy(() -> TomlReader.read("a = " + "1".repeat(100_000)))
        .isInstanceOf(TomlException.class)
        .hasMessageContaining("128 characters");
  }
}
