package brig.profiles.seccomp;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import java.util.Set;

/**
 * Profiles as real clients sent them, in a short form: {@code default ACTION}, {@code architectures
 * NAME...}, then per rule {@code ACTION ERRNO|- [INDEX:OP:VALUE:VALUE2,...] NAME...}.
 */
final class RecordedProfile {
  private RecordedProfile() {}

  static SeccompProfile read(String resource) {
    Action byDefault = Action.ERRNO;
    List<Architecture> architectures = new ArrayList<>();
    List<SyscallRule> rules = new ArrayList<>();
    for (String line : lines(resource)) {
      List<String> words = List.of(line.split(" "));
      switch (words.getFirst()) {
        case "#" -> {}
        case "default" -> byDefault = Action.ofSpecName(words.get(1)).orElseThrow();
        case "architectures" ->
            words.stream()
                .skip(1)
                .forEach(name -> architectures.add(Architecture.ofSpecName(name).orElseThrow()));
        default ->
            rules.add(
                new SyscallRule(
                    words.subList(3, words.size()),
                    Action.ofSpecName(words.get(0)).orElseThrow(),
                    words.get(1).equals("-")
                        ? OptionalInt.empty()
                        : OptionalInt.of(Integer.parseInt(words.get(1))),
                    arguments(words.get(2))));
      }
    }
    return new SeccompProfile(
        byDefault, OptionalInt.empty(), architectures, Set.of(), "", "", rules);
  }

  private static List<ArgumentRule> arguments(String text) {
    List<ArgumentRule> all = new ArrayList<>();
    String inner = text.substring(1, text.length() - 1);
    if (!inner.isEmpty()) {
      for (String one : inner.split(",")) {
        String[] parts = one.split(":");
        all.add(
            new ArgumentRule(
                Integer.parseInt(parts[0]),
                Long.parseUnsignedLong(parts[2]),
                Long.parseUnsignedLong(parts[3]),
                Operator.ofSpecName(parts[1]).orElseThrow()));
      }
    }
    return all;
  }

  private static List<String> lines(String resource) {
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                Objects.requireNonNull(RecordedProfile.class.getResourceAsStream(resource)),
                StandardCharsets.UTF_8))) {
      return reader.lines().toList();
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }
}
