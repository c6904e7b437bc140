package brig.sandbox.plan;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import brig.sandbox.BrigException;
import brig.sandbox.spec.DeviceRule;
import brig.sandbox.spec.DeviceType;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import org.junit.jupiter.api.Test;

final class DeviceRulesTest {
  private static final int MKNOD = 1;
  private static final int READ = 2;
  private static final int WRITE = 4;
  private static final int BLOCK = 1;
  private static final int CHAR = 2;

  private static DeviceRule rule(
      boolean allow, DeviceType type, long major, long minor, String access) {
    return new DeviceRule(
        allow,
        type,
        major < 0 ? OptionalLong.empty() : OptionalLong.of(major),
        minor < 0 ? OptionalLong.empty() : OptionalLong.of(minor),
        access);
  }

  private static final DeviceRule DENY_ALL = rule(false, DeviceType.EVERY, -1, -1, "rwm");
  private static final DeviceRule ALLOW_ALL = rule(true, DeviceType.EVERY, -1, -1, "rwm");

  private static EbpfMachine program(DeviceRule... rules) throws BrigException {
    return new EbpfMachine(DeviceProgram.compile(DeviceRules.of(List.of(rules))));
  }

  private static boolean permits(EbpfMachine program, int type, int access, int major, int minor) {
    return program.permits(access << 16 | type, major, minor);
  }

  private static List<String> v1(DeviceRule... rules) throws BrigException {
    return DeviceRules.of(List.of(rules)).v1().stream()
        .map(limit -> limit.file() + " " + limit.value())
        .toList();
  }

  @Test
  void aContainerHasItsStandardDevicesAndNoOthers() throws BrigException {
    EbpfMachine program = program();
    assertThat(permits(program, CHAR, READ | WRITE, 1, 3)).as("null").isTrue();
    assertThat(permits(program, CHAR, READ | WRITE, 136, 7)).as("pts").isTrue();
    assertThat(permits(program, CHAR, READ, 1, 1)).as("mem").isFalse();
    assertThat(permits(program, CHAR, READ, 1, 11)).as("kmsg").isFalse();
    assertThat(permits(program, CHAR, READ, 10, 232)).as("kvm").isFalse();
    assertThat(permits(program, CHAR, READ, 10, 229)).as("fuse").isFalse();
    assertThat(permits(program, BLOCK, READ, 8, 0)).as("disk").isFalse();
    assertThat(permits(program, BLOCK, MKNOD, 8, 0)).as("node of a disk").isTrue();
    assertThat(permits(program, BLOCK, MKNOD | READ, 8, 0)).isFalse();
  }

  @Test
  void accessGivenInPartsAddsUp() throws BrigException {
    EbpfMachine program =
        program(
            DENY_ALL,
            rule(true, DeviceType.CHAR, 10, 229, "r"),
            rule(true, DeviceType.CHAR, 10, 229, "w"));
    assertThat(permits(program, CHAR, READ | WRITE, 10, 229)).isTrue();
  }

  @Test
  void theLastRuleAboutADeviceCounts() throws BrigException {
    EbpfMachine program =
        program(
            ALLOW_ALL,
            rule(false, DeviceType.BLOCK, 8, -1, "w"),
            rule(true, DeviceType.BLOCK, 8, 1, "w"));
    assertThat(permits(program, BLOCK, READ, 8, 0)).isTrue();
    assertThat(permits(program, BLOCK, READ | WRITE, 8, 0)).isFalse();
    assertThat(permits(program, BLOCK, WRITE, 8, 1)).isTrue();
    assertThat(permits(program, CHAR, READ, 10, 232)).isTrue();
  }

  @Test
  void v1DeniesAllFirstAndSaysEachExceptionOnce() throws BrigException {
    assertThat(v1(DENY_ALL, rule(true, DeviceType.CHAR, 1, 3, "rwm")))
        .startsWith("devices.deny a", "devices.allow c 1:3 rwm")
        .contains("devices.allow c *:* m", "devices.allow c 136:* rwm")
        .doesNotHaveDuplicates();
    assertThat(v1(ALLOW_ALL)).containsExactly("devices.allow a");
    assertThat(v1(ALLOW_ALL, rule(false, DeviceType.CHAR, 10, 200, "rw")))
        .containsExactly("devices.allow a", "devices.deny c 10:200 rw");
  }

  @Test
  void moreRulesThanCanBeComparedAreRefused() {
    DeviceRule[] many = new DeviceRule[1025];
    java.util.Arrays.setAll(many, i -> rule(true, DeviceType.CHAR, 10, i, "r"));
    assertThatThrownBy(() -> v1(many))
        .hasMessageContaining("linux.resources.devices: are 1025 rules, more than 1024");
  }

  @Test
  void v1TakesBackWhatItGave() throws BrigException {
    assertThat(
            v1(
                rule(true, DeviceType.CHAR, 10, 229, "rwm"),
                rule(false, DeviceType.CHAR, 10, 229, "w")))
        .startsWith("devices.deny a", "devices.allow c 10:229 rwm", "devices.deny c 10:229 w");
  }

  @Test
  void whatV1CannotSayIsRefused() {
    assertThatThrownBy(() ->
            v1(
                rule(true, DeviceType.BLOCK, 8, -1, "rwm"),
                rule(false, DeviceType.BLOCK, 8, 1, "w")))
        .hasMessageContaining("cgroup v1 can't deny b 8:1 w after b 8:* rwm");
  }

  @Test
  void typeAllWithNumbersMeansBothKinds() throws BrigException {
    assertThat(v1(rule(true, DeviceType.EVERY, 7, 7, "r")))
        .contains("devices.allow c 7:7 r", "devices.allow b 7:7 r");
  }

  @Property(tries = 500)
  void theProgramIsTheRulesLetterByLetter(@ForAll("rules") List<DeviceRule> rules)
      throws BrigException {
    DeviceRules all = DeviceRules.of(rules);
    EbpfMachine program = new EbpfMachine(DeviceProgram.compile(all));
    for (int type : List.of(CHAR, BLOCK)) {
      for (int major : List.of(0, 1, 5, 8)) {
        for (int minor : List.of(0, 1, 3)) {
          for (int access = 1; access < 8; access++) {
            assertThat(permits(program, type, access, major, minor))
                .as("%s %s:%s %s", type, major, minor, access)
                .isEqualTo(expected(all, type, access, major, minor));
          }
        }
      }
    }
  }

  /** For each letter the last rule about the device, nothing where there is none. */
  private static boolean expected(DeviceRules rules, int type, int access, int major, int minor) {
    for (int letter : List.of(MKNOD, READ, WRITE)) {
      if ((access & letter) == 0) {
        continue;
      }
      boolean permitted = false;
      for (DeviceRules.Rule rule : rules.rules()) {
        boolean sameType =
            rule.type() == DeviceType.EVERY
                || rule.type() == (type == BLOCK ? DeviceType.BLOCK : DeviceType.CHAR);
        boolean sameNumbers =
            (rule.major() < 0 || rule.major() == major)
                && (rule.minor() < 0 || rule.minor() == minor);
        char name = letter == MKNOD ? 'm' : letter == READ ? 'r' : 'w';
        if (sameType && sameNumbers && rule.access().indexOf(name) >= 0) {
          permitted = rule.allow();
        }
      }
      if (!permitted) {
        return false;
      }
    }
    return true;
  }

  @Provide
  Arbitrary<List<DeviceRule>> rules() {
    Arbitrary<Long> number = Arbitraries.of(-1L, 0L, 1L, 3L, 5L, 8L);
    return Combinators.combine(
            Arbitraries.of(true, false),
            Arbitraries.of(DeviceType.EVERY, DeviceType.CHAR, DeviceType.BLOCK),
            number,
            number,
            Arbitraries.of("", "r", "w", "m", "rw", "wm", "rwm", "mwr"))
        .as(DeviceRulesTest::rule)
        .list()
        .ofMaxSize(8);
  }

  @Property(tries = 500)
  void v1EitherSaysTheSameOrRefuses(@ForAll("rules") List<DeviceRule> rules) throws BrigException {
    DeviceRules all = DeviceRules.of(rules);
    List<Limit> writes;
    try {
      writes = all.v1();
    } catch (BrigException e) {
      assertThat(e.reason()).startsWith("cgroup v1 can't");
      return;
    }
    V1Devices kernel = new V1Devices();
    writes.forEach(write -> kernel.write(write.file(), write.value()));
    for (int type : List.of(CHAR, BLOCK)) {
      for (int major : List.of(0, 1, 5, 8)) {
        for (int minor : List.of(0, 1, 3)) {
          for (int letter : List.of(MKNOD, READ, WRITE)) {
            assertThat(kernel.permits(type, letter, major, minor))
                .as("%s %s:%s %s after %s", type, major, minor, letter, writes)
                .isEqualTo(expected(all, type, letter, major, minor));
          }
        }
      }
    }
  }

  /** The v1 controller's own book-keeping: a default and exceptions from it, matched exactly. */
  private static final class V1Devices {
    private boolean byDefault = true;
    private final List<String[]> exceptions = new ArrayList<>();

    void write(String file, String value) {
      boolean allow = file.equals("devices.allow");
      if (value.equals("a")) {
        byDefault = allow;
        exceptions.clear();
        return;
      }
      String[] words = value.split("[ :]", -1);
      for (String[] exception : List.copyOf(exceptions)) {
        boolean same =
            exception[0].equals(words[0])
                && exception[1].equals(words[1])
                && exception[2].equals(words[2]);
        if (!same) {
          continue;
        }
        if (allow == byDefault) {
          for (char letter : words[3].toCharArray()) {
            exception[3] = exception[3].replace(String.valueOf(letter), "");
          }
          if (exception[3].isEmpty()) {
            exceptions.remove(exception);
          }
        } else {
          exception[3] += words[3];
          return;
        }
      }
      if (allow != byDefault) {
        exceptions.add(words);
      }
    }

    boolean permits(int type, int letter, int major, int minor) {
      String kind = type == BLOCK ? "b" : "c";
      String name = letter == MKNOD ? "m" : letter == READ ? "r" : "w";
      boolean excepted =
          exceptions.stream()
              .anyMatch(e ->
                  e[0].equals(kind)
                      && (e[1].equals("*") || e[1].equals("" + major))
                      && (e[2].equals("*") || e[2].equals("" + minor))
                      && e[3].contains(name));
      return excepted != byDefault;
    }
  }
}
