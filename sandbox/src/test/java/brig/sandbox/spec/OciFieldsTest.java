package brig.sandbox.spec;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/**
 * Every field of the specification is either enforced, with the tests that show it, or refused by
 * name: {@code oci-fields.txt} says which, and {@code docs/oci-fields.md} is made from it. A field
 * in neither fails here.
 */
final class OciFieldsTest {
  private static final Path SOURCE =
      Path.of("src", "test", "resources", "brig", "sandbox", "oci-fields.txt");
  private static final Path PAGE = Path.of("..", "docs", "oci-fields.md");
  private static final Pattern LINE =
      Pattern.compile("(\\S+) (enforced|refused|ignored) (.+?)(?: \\| (.+))?");

  /** Where no kernel can be asked; the reason follows. */
  private static final String PLAN_ONLY = "plan only: ";

  /** {@code Class#method} of Java's, {@code crate/file#function} of Rust's. */
  private static final Pattern NAME = Pattern.compile("([A-Za-z0-9_/]+)#([A-Za-z0-9_]+)");

  /** Names in JSON that Java names can't have, or that records say more clearly. */
  private static final Map<String, String> JSON_NAMES =
      Map.ofEntries(
          Map.entry("execCpuAffinity", "execCPUAffinity"),
          Map.entry("finalCpus", "final"),
          Map.entry("ioClass", "class"),
          Map.entry("containerId", "containerID"),
          Map.entry("hostId", "hostID"),
          Map.entry("defaultErrno", "defaultErrnoRet"),
          Map.entry("errno", "errnoRet"),
          Map.entry("arguments", "args"),
          Map.entry("operator", "op"),
          Map.entry("closId", "closID"),
          Map.entry("enableCmt", "enableCMT"),
          Map.entry("enableMbm", "enableMBM"),
          Map.entry("pidsLimit", "pids.limit"),
          Map.entry("blockIo", "blockIO"),
          Map.entry("classId", "classID"),
          Map.entry("kernelTcp", "kernelTCP"),
          Map.entry("disableOomKiller", "disableOOMKiller"),
          Map.entry("weightDevices", "weightDevice"),
          Map.entry("throttleReadBps", "throttleReadBpsDevice"),
          Map.entry("throttleWriteBps", "throttleWriteBpsDevice"),
          Map.entry("throttleReadIops", "throttleReadIOPSDevice"),
          Map.entry("throttleWriteIops", "throttleWriteIOPSDevice"));

  /** What the table says of one field. */
  private record Verdict(String verdict, String why, String kernelTests) {}

  @Test
  void everyFieldIsEnforcedOrRefusedByName() throws IOException {
    Set<String> fields = new LinkedHashSet<>();
    collect("", Spec.class, fields);
    assertThat(verdicts().keySet()).containsExactlyInAnyOrderElementsOf(fields);
  }

  @Test
  void everyEnforcedFieldIsReadBackOrSaysWhyNot() throws IOException {
    verdicts()
        .forEach((field, verdict) -> {
          if (verdict.verdict().equals("enforced")) {
            assertThat(verdict.kernelTests()).as("%s: what reads its effect?", field).isNotEmpty();
          }
        });
  }

  @Test
  void theTestsThatTheTableNamesAreThere() throws IOException {
    List<Path> sources = sources();
    for (Map.Entry<String, Verdict> field : verdicts().entrySet()) {
      Verdict verdict = field.getValue();
      if (verdict.verdict().equals("enforced")) {
        Matcher names = NAME.matcher(verdict.why() + " " + verdict.kernelTests());
        int found = 0;
        while (names.find()) {
          assertThat(isThere(sources, names.group(1), names.group(2)))
              .as("%s: is there a test %s?", field.getKey(), names.group())
              .isTrue();
          found++;
        }
        assertThat(found).as("%s: every name is CLASS#METHOD", field.getKey()).isPositive();
        Stream.of(verdict.why(), verdict.kernelTests())
            .filter(column -> !column.startsWith(PLAN_ONLY))
            .flatMap(column -> Stream.of(column.split(", ")))
            .forEach(name -> assertThat(name).as(field.getKey()).matches(NAME));
      }
    }
  }

  /** In the file that the name stands for, as something that a runner runs. */
  private static boolean isThere(List<Path> sources, String place, String test) {
    boolean java = !place.contains("/");
    String crate = place.substring(0, Math.max(place.indexOf('/'), 0));
    String rest = place.substring(place.indexOf('/') + 1);
    List<String> ends =
        java
            ? List.of("/" + place + ".java")
            : List.of(
                "/native/crates/" + crate + "/tests/" + crate + "/" + rest + ".rs",
                "/native/crates/" + crate + "/tests/" + rest + ".rs");
    String name = Pattern.quote(test);
    Pattern runs =
        java
            ? Pattern.compile(
                "@(Test|Property|ParameterizedTest)\\b[^{;]*?(\\{[^;]*?\\}\\)\\s*)?void "
                    + name
                    + "\\(")
            // A function that a list of tests or the attribute hands to the runner.
            : Pattern.compile(
                "(#\\[test\\]\\s+fn " + name + "\\()|tests!\\[[^\\]]*\\b" + name + ",");
    return sources.stream()
        .filter(path -> ends.stream().anyMatch(path.toString()::endsWith))
        .anyMatch(path -> runs.matcher(read(path)).find());
  }

  @Test
  void thePageIsMadeFromTheTable() throws IOException {
    String page = page(verdicts());
    if (Boolean.getBoolean("brig.write")) {
      Files.writeString(PAGE, page);
    }
    assertThat(Files.readString(PAGE))
        .as("docs/oci-fields.md is out of date: mvn -pl sandbox test -Dbrig.write=true")
        .isEqualTo(page);
  }

  /** Leaves: records are descended into, lists and maps by their elements. */
  private static void collect(String path, Class<?> type, Set<String> fields) {
    for (RecordComponent component : type.getRecordComponents()) {
      String name = JSON_NAMES.getOrDefault(component.getName(), component.getName());
      String field = path.isEmpty() ? name : path + "." + name;
      descend(field, component.getGenericType(), fields);
    }
  }

  private static void descend(String field, Type type, Set<String> fields) {
    if (type instanceof Class<?> plain) {
      if (plain.isRecord()) {
        collect(field, plain, fields);
      } else {
        fields.add(field);
      }
      return;
    }
    ParameterizedType generic = (ParameterizedType) type;
    Class<?> raw = (Class<?>) generic.getRawType();
    List<Type> arguments = List.of(generic.getActualTypeArguments());
    Type element = arguments.getLast();
    boolean record = element instanceof Class<?> plain && plain.isRecord();
    String suffix = raw == List.class && record ? "[]" : raw == Map.class && record ? "{}" : "";
    descend(field + suffix, element, fields);
  }

  private static Map<String, Verdict> verdicts() throws IOException {
    Map<String, Verdict> verdicts = new LinkedHashMap<>();
    for (String line : Files.readAllLines(SOURCE)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      Matcher matcher = LINE.matcher(line);
      assertThat(matcher.matches()).as(line).isTrue();
      String kernel = matcher.group(4) == null ? "" : matcher.group(4);
      Verdict before =
          verdicts.put(matcher.group(1), new Verdict(matcher.group(2), matcher.group(3), kernel));
      assertThat(before).as("%s stands twice", matcher.group(1)).isNull();
    }
    return verdicts;
  }

  private static List<Path> sources() throws IOException {
    try (Stream<Path> files = Files.walk(Path.of(".."))) {
      return files
          .filter(path -> !path.toString().contains("/target/"))
          .filter(path ->
              path.toString().matches(".*/src/test/.*\\.java")
                  || path.toString().matches(".*/native/crates/.*/tests/.*\\.rs"))
          .toList();
    }
  }

  private static String read(Path path) {
    try {
      return Files.readString(path);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static String page(Map<String, Verdict> verdicts) {
    StringBuilder page =
        new StringBuilder(
            """
            # Fields of the OCI runtime specification

            What Brig does with each field of config.json for Linux (runtime-spec 1.3). Made by OciFieldsTest from
            `sandbox/src/test/resources/brig/sandbox/oci-fields.txt`; a field that stands in neither half fails the build.
            "Planned by" names the tests that hold the plan to the field, "read back by" those that read the effect from the
            kernel of a running container: `Class#method` in Java, `crate/file#function` in `native/crates`. The build fails for
            a test that isn't there, and for an enforced field without one that doesn't say why ("plan only"). Sections for other platforms (`windows`, `solaris`, `freebsd`, `zos`, `vm`) are
            refused.

            ## Enforced

            | field | planned by | read back by |
            |---|---|---|
            """);
    verdicts.forEach((field, verdict) -> {
      if (verdict.verdict().equals("enforced")) {
        page.append("| `%s` | %s | %s |\n".formatted(field, verdict.why(), verdict.kernelTests()));
      }
    });
    for (String verdict : List.of("refused", "ignored")) {
      String title = verdict.substring(0, 1).toUpperCase(Locale.ROOT) + verdict.substring(1);
      page.append("\n## %s\n\n| field | why |\n|---|---|\n".formatted(title));
      verdicts.forEach((field, each) -> {
        if (each.verdict().equals(verdict)) {
          page.append("| `%s` | %s |\n".formatted(field, each.why()));
        }
      });
    }
    return page.toString();
  }
}
