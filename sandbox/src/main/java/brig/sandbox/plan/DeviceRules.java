package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.DeviceRule;
import brig.sandbox.spec.DeviceType;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;

/**
 * Which devices a container may open or make nodes of. Nothing at first; then the spec's rules in
 * their order, then what every container has. For each kind of access the last rule about a device
 * counts.
 */
record DeviceRules(List<Rule> rules) {
  /** Everything that a rule can be about, in the kernel's letters. */
  private static final String ALL_ACCESS = "rwm";

  /** Each may be compared with each; on cgroup v2 a program doesn't hold as many. */
  private static final int MAX_RULES = 1024;

  private static final String FIELD = "linux.resources.devices";

  private static final List<Rule> STANDARD =
      List.of(
          // Nodes may be made, as long as nobody opens them.
          allow(DeviceType.CHAR, -1, -1, "m"),
          allow(DeviceType.BLOCK, -1, -1, "m"),
          allow(DeviceType.CHAR, 1, 3, ALL_ACCESS),
          allow(DeviceType.CHAR, 1, 5, ALL_ACCESS),
          allow(DeviceType.CHAR, 1, 7, ALL_ACCESS),
          allow(DeviceType.CHAR, 1, 8, ALL_ACCESS),
          allow(DeviceType.CHAR, 1, 9, ALL_ACCESS),
          // tty, ptmx, pts.
          allow(DeviceType.CHAR, 5, 0, ALL_ACCESS),
          allow(DeviceType.CHAR, 5, 2, ALL_ACCESS),
          allow(DeviceType.CHAR, 136, -1, ALL_ACCESS));

  /**
   * @param major -1: any
   * @param minor -1: any
   * @param access letters of {@code rwm}
   */
  record Rule(boolean allow, DeviceType type, long major, long minor, String access) {
    /** About every device and every access. */
    boolean isTotal() {
      return type == DeviceType.EVERY && major < 0 && minor < 0 && access.length() == 3;
    }

    boolean sameDevices(Rule other) {
      return type == other.type && major == other.major && minor == other.minor;
    }

    boolean overlaps(Rule other) {
      boolean types =
          type == other.type || type == DeviceType.EVERY || other.type == DeviceType.EVERY;
      boolean majors = major < 0 || other.major < 0 || major == other.major;
      boolean minors = minor < 0 || other.minor < 0 || minor == other.minor;
      boolean accesses = access.chars().anyMatch(letter -> other.access.indexOf(letter) >= 0);
      return types && majors && minors && accesses;
    }

    /** The form of {@code devices.allow} and {@code devices.deny}. */
    String v1() {
      return type.specName() + " " + number(major) + ":" + number(minor) + " " + access;
    }

    private static String number(long number) {
      return number < 0 ? "*" : Long.toString(number);
    }
  }

  DeviceRules {
    rules = List.copyOf(rules);
  }

  static DeviceRules of(List<DeviceRule> spec) throws BrigException {
    if (spec.size() > MAX_RULES) {
      throw Refusal.invalid(
          FIELD,
          "are " + spec.size() + " rules, more than " + MAX_RULES,
          "use fewer, broader rules");
    }
    List<Rule> rules = new ArrayList<>();
    for (DeviceRule rule : spec) {
      Rule asked =
          new Rule(
              rule.allow(),
              rule.type(),
              number(rule.major()),
              number(rule.minor()),
              letters(rule.access()));
      if (asked.type() == DeviceType.EVERY && !asked.isTotal()) {
        // Type "a" with anything else than everything: both kinds.
        rules.add(withType(asked, DeviceType.CHAR));
        rules.add(withType(asked, DeviceType.BLOCK));
      } else {
        rules.add(asked);
      }
    }
    boolean everything = permitsEverything(rules);
    for (Rule rule : STANDARD) {
      // Where everything is permitted, a rule about many devices could only undo a denial of one.
      if (!everything || rule.major() >= 0) {
        rules.add(rule);
      }
    }
    return new DeviceRules(rules);
  }

  /**
   * Writes for the v1 controller, whose lists know exact entries only: a denial that would cut a
   * piece out of a permitted range can't be said there.
   */
  List<Limit> v1() throws BrigException {
    List<Limit> writes = new ArrayList<>();
    List<Rule> exceptions = new ArrayList<>();
    boolean allowAll = false;
    writes.add(write(false, "a"));
    for (Rule rule : rules) {
      if (rule.isTotal()) {
        allowAll = rule.allow();
        exceptions.clear();
        writes.clear();
        writes.add(write(rule.allow(), "a"));
        continue;
      }
      if (rule.allow() == allowAll) {
        boolean wasException = false;
        for (Rule exception : List.copyOf(exceptions)) {
          if (!exception.overlaps(rule)) {
            continue;
          }
          if (!exception.sameDevices(rule)) {
            throw Refusal.notEnforced(
                FIELD,
                "cgroup v1 can't "
                    + (rule.allow() ? "permit " : "deny ")
                    + rule.v1()
                    + " after "
                    + exception.v1(),
                "name the devices one by one");
          }
          wasException = true;
          exceptions.remove(exception);
          String left = without(exception.access(), rule.access());
          if (!left.isEmpty()) {
            exceptions.add(withAccess(exception, left));
          }
        }
        if (wasException) {
          writes.add(write(rule.allow(), rule.v1()));
        }
        continue;
      }
      if (!exceptions.contains(rule)) {
        exceptions.add(rule);
        writes.add(write(rule.allow(), rule.v1()));
      }
    }
    return writes;
  }

  private static boolean permitsEverything(List<Rule> rules) {
    boolean everything = false;
    for (Rule rule : rules) {
      if (rule.isTotal()) {
        everything = rule.allow();
      }
    }
    return everything;
  }

  private static Limit write(boolean allow, String value) {
    return new Limit("devices", allow ? "devices.allow" : "devices.deny", value, FIELD);
  }

  private static Rule withType(Rule rule, DeviceType type) {
    return new Rule(rule.allow(), type, rule.major(), rule.minor(), rule.access());
  }

  private static Rule withAccess(Rule rule, String access) {
    return new Rule(rule.allow(), rule.type(), rule.major(), rule.minor(), access);
  }

  private static Rule allow(DeviceType type, long major, long minor, String access) {
    return new Rule(true, type, major, minor, access);
  }

  private static long number(OptionalLong number) {
    return number.orElse(-1);
  }

  /** Each letter once, in the kernel's order; none given: all. */
  private static String letters(String access) {
    if (access.isEmpty()) {
      return ALL_ACCESS;
    }
    StringBuilder letters = new StringBuilder();
    for (char letter : ALL_ACCESS.toCharArray()) {
      if (access.indexOf(letter) >= 0) {
        letters.append(letter);
      }
    }
    return letters.toString();
  }

  private static String without(String access, String taken) {
    StringBuilder left = new StringBuilder();
    for (char letter : access.toCharArray()) {
      if (taken.indexOf(letter) < 0) {
        left.append(letter);
      }
    }
    return left.toString();
  }
}
