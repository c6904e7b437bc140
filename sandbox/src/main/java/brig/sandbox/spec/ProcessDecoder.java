package brig.sandbox.spec;

import brig.sandbox.BrigException;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/** Reads {@code process}. */
final class ProcessDecoder {
  /** ioprio levels are 0 to 7 (ioprio_set(2)). */
  private static final int IO_PRIORITY_MAX = 7;

  private ProcessDecoder() {}

  static ProcessSpec process(Node node) throws BrigException {
    List<String> args = node.list("args", Node::string);
    if (args.isEmpty()) {
      throw node.error("args", "is empty: no program to run");
    }
    if (node.member("commandLine").isPresent()) {
      throw node.error("commandLine", "is for Windows only");
    }
    return new ProcessSpec(
        node.bool("terminal"),
        node.optional("consoleSize", ProcessDecoder::consoleSize),
        node.optional("user", ProcessDecoder::user, UserSpec.ROOT),
        args,
        node.list("env", ProcessDecoder::environment),
        node.require("cwd").absolutePath(),
        node.optional("capabilities", ProcessDecoder::capabilities),
        rlimits(node),
        node.bool("noNewPrivileges"),
        node.string("apparmorProfile"),
        node.smallInteger("oomScoreAdj", -1000, 1000),
        node.optional("scheduler", ProcessDecoder::scheduler),
        node.string("selinuxLabel"),
        node.optional("ioPriority", ProcessDecoder::ioPriority),
        node.optional("execCPUAffinity", ProcessDecoder::affinity));
  }

  /** One {@code NAME=value}. */
  static String environment(Node node) throws BrigException {
    String value = node.string();
    if (value.indexOf('=') <= 0) {
      throw node.error("\"" + value + "\" is not of the form NAME=value");
    }
    return value;
  }

  private static ConsoleSize consoleSize(Node node) throws BrigException {
    return new ConsoleSize(
        node.smallInteger("height", 0, 0xffff).orElse(0),
        node.smallInteger("width", 0, 0xffff).orElse(0));
  }

  private static UserSpec user(Node node) throws BrigException {
    if (node.member("username").isPresent()) {
      throw node.error("username", "is for Windows only; give uid and gid");
    }
    return new UserSpec(
        id(node, "uid"),
        id(node, "gid"),
        node.smallInteger("umask", 0, 0777),
        node.list("additionalGids", gid -> gid.integer(0, Node.U32_MAX - 1)));
  }

  private static long id(Node node, String name) throws BrigException {
    return node.integer(name, 0, Node.U32_MAX - 1).orElse(0);
  }

  private static CapabilitySets capabilities(Node node) throws BrigException {
    return new CapabilitySets(
        capabilitySet(node, "bounding"),
        capabilitySet(node, "effective"),
        capabilitySet(node, "inheritable"),
        capabilitySet(node, "permitted"),
        capabilitySet(node, "ambient"));
  }

  private static Set<Capability> capabilitySet(Node node, String name) throws BrigException {
    return node.set(name, element -> element.oneOf(Capability::ofSpecName));
  }

  private static List<RlimitSpec> rlimits(Node node) throws BrigException {
    List<RlimitSpec> all = node.list("rlimits", ProcessDecoder::rlimit);
    Set<Rlimit> seen = new HashSet<>();
    for (RlimitSpec rlimit : all) {
      if (!seen.add(rlimit.type())) {
        throw node.error("rlimits", rlimit.type().specName() + " stands twice");
      }
    }
    return all;
  }

  private static RlimitSpec rlimit(Node node) throws BrigException {
    RlimitSpec rlimit =
        new RlimitSpec(
            node.require("type").oneOf(Rlimit::ofSpecName),
            node.require("soft").unsigned(),
            node.require("hard").unsigned());
    if (Long.compareUnsigned(rlimit.soft(), rlimit.hard()) > 0) {
      throw node.error(
          "soft",
          "is "
              + Long.toUnsignedString(rlimit.soft())
              + ", more than hard "
              + Long.toUnsignedString(rlimit.hard()));
    }
    return rlimit;
  }

  private static SchedulerSpec scheduler(Node node) throws BrigException {
    Set<SchedulerFlag> flags = EnumSet.noneOf(SchedulerFlag.class);
    for (String flag : node.list("flags", Node::string)) {
      flags.add(node.named(flag, SchedulerFlag::ofSpecName));
    }
    SchedulerSpec scheduler =
        new SchedulerSpec(
            node.require("policy").oneOf(SchedulerPolicy::ofSpecName),
            node.smallInteger("nice", -20, 19).orElse(0),
            node.smallInteger("priority", 0, 99).orElse(0),
            flags,
            node.unsigned("runtime").orElse(0),
            node.unsigned("deadline").orElse(0),
            node.unsigned("period").orElse(0));
    boolean deadlineFields =
        scheduler.runtime() != 0 || scheduler.deadline() != 0 || scheduler.period() != 0;
    if (deadlineFields && scheduler.policy() != SchedulerPolicy.DEADLINE) {
      throw node.error("runtime, deadline and period are for SCHED_DEADLINE only");
    }
    boolean realtime =
        scheduler.policy() == SchedulerPolicy.FIFO || scheduler.policy() == SchedulerPolicy.RR;
    if (scheduler.priority() != 0 && !realtime) {
      throw node.error("priority", "is for SCHED_FIFO and SCHED_RR only");
    }
    return scheduler;
  }

  private static IoPrioritySpec ioPriority(Node node) throws BrigException {
    return new IoPrioritySpec(
        node.require("class").oneOf(IoPriorityClass::ofSpecName),
        node.smallInteger("priority", 0, IO_PRIORITY_MAX).orElse(0));
  }

  private static CpuAffinity affinity(Node node) throws BrigException {
    return new CpuAffinity(
        ResourcesDecoder.numberList(node, "initial"), ResourcesDecoder.numberList(node, "final"));
  }
}
