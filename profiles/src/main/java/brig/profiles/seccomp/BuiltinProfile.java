package brig.profiles.seccomp;

import brig.profiles.seccomp.Policy.Branch;
import brig.profiles.seccomp.Policy.Calls;
import brig.profiles.seccomp.Policy.Decision;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The policy of containers whose spec brings none, from {@code builtin.txt}, which explains its
 * form and each of its lines. x32 is not part of it: nobody uses it, and it doubles the calls to
 * think of.
 */
final class BuiltinProfile {
  private static final int EPERM = Action.ERRNO.number() | 1;
  private static final int ENOSYS = Action.ERRNO.number() | 38;

  private static final Pattern CHECK =
      Pattern.compile(
          "check ([a-z0-9_]+): (allow|errno [0-9]+)(?: if a([0-5])(?: & (0x[0-9a-f]+))? =="
              + " (0x[0-9a-f]+|[0-9]+))?");

  private static final List<Section> SECTIONS = parse(SyscallTable.resource("builtin.txt"));

  private BuiltinProfile() {}

  /** The decisions of one section, by name; {@code capability} empty: always. */
  private record Section(Optional<String> capability, Map<String, Decision> calls) {}

  static Policy policy(Collection<String> capabilities, Machine machine) {
    Map<String, Decision> byName = new LinkedHashMap<>();
    for (Section section : SECTIONS) {
      if (section.capability().map(capabilities::contains).orElse(true)) {
        byName.putAll(section.calls());
      }
    }
    List<Calls> all = new ArrayList<>();
    for (Architecture architecture : machine.natives()) {
      if (architecture != Architecture.X32) {
        all.add(calls(architecture, byName));
      }
    }
    return new Policy(all, Action.KILL_PROCESS.number());
  }

  private static Calls calls(Architecture architecture, Map<String, Decision> byName) {
    NavigableMap<Integer, Decision> numbers = new TreeMap<>();
    int newest = 0;
    SyscallTable table = SyscallTable.get();
    for (Map.Entry<String, Integer> call : table.calls(architecture).entrySet()) {
      if (call.getValue() < Translation.ARM_PRIVATE) {
        newest = Math.max(newest, call.getValue());
      }
      Decision decision = byName.get(call.getKey());
      if (decision != null) {
        numbers.put(call.getValue(), decision);
      }
    }
    return new Calls(architecture, numbers, EPERM, OptionalInt.of(newest), ENOSYS);
  }

  private static List<Section> parse(List<String> lines) {
    List<Section> sections = new ArrayList<>();
    Map<String, List<Branch>> branches = new LinkedHashMap<>();
    for (String line : lines) {
      if (line.startsWith("[")) {
        String name = line.substring(1, line.length() - 1);
        Optional<String> capability = name.equals("always") ? Optional.empty() : Optional.of(name);
        sections.add(new Section(capability, new LinkedHashMap<>()));
        continue;
      }
      Map<String, Decision> calls = sections.getLast().calls();
      if (line.startsWith("check ")) {
        check(line, calls, branches);
        continue;
      }
      List<String> words = List.of(line.split(" "));
      boolean allow = words.getFirst().equals("allow");
      int answer = answer(allow ? "allow" : words.get(0) + " " + words.get(1));
      for (String name : words.subList(allow ? 1 : 2, words.size())) {
        put(calls, name, Decision.always(answer));
      }
    }
    return List.copyOf(sections);
  }

  private static void check(
      String line, Map<String, Decision> calls, Map<String, List<Branch>> branches) {
    Matcher matcher = CHECK.matcher(line);
    if (!matcher.matches()) {
      throw new IllegalStateException("builtin.txt: " + line);
    }
    String name = matcher.group(1);
    int answer = answer(matcher.group(2));
    List<Branch> soFar = branches.computeIfAbsent(name, key -> new ArrayList<>());
    String value = matcher.group(5);
    if (value == null) {
      put(calls, name, new Decision(soFar, answer));
      return;
    }
    int index = Integer.parseInt(matcher.group(3));
    String mask = matcher.group(4);
    ArgumentRule condition =
        mask == null
            ? new ArgumentRule(index, Long.decode(value), 0, Operator.EQ)
            : new ArgumentRule(index, Long.decode(mask), Long.decode(value), Operator.MASKED_EQ);
    soFar.add(new Branch(List.of(condition), answer));
  }

  private static void put(Map<String, Decision> calls, String name, Decision decision) {
    if (!SyscallTable.get().knows(name)) {
      throw new IllegalStateException("builtin.txt: no system call is named " + name);
    }
    if (calls.put(name, decision) != null) {
      throw new IllegalStateException("builtin.txt: " + name + " stands twice in a section");
    }
  }

  private static int answer(String text) {
    return text.equals("allow")
        ? Action.ALLOW.number()
        : Action.ERRNO.number() | Integer.parseInt(text.substring("errno ".length()));
  }
}
