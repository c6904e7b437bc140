package brig.sandbox.spec;

import brig.profiles.seccomp.Action;
import brig.profiles.seccomp.Architecture;
import brig.profiles.seccomp.ArgumentRule;
import brig.profiles.seccomp.FilterFlag;
import brig.profiles.seccomp.Operator;
import brig.profiles.seccomp.SeccompProfile;
import brig.profiles.seccomp.SyscallRule;
import brig.sandbox.BrigException;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/** Reads {@code linux}. */
final class LinuxDecoder {
  /** MAX_ERRNO of linux/err.h. */
  private static final int MAX_ERRNO = 4095;

  /** UID_GID_MAP_MAX_EXTENTS of linux/user_namespace.h. */
  private static final int MAX_ID_MAPS = 340;

  private static final int NANOS_PER_SECOND = 1_000_000_000;

  private LinuxDecoder() {}

  static LinuxSpec linux(Node node) throws BrigException {
    return new LinuxSpec(
        idMaps(node, "uidMappings"),
        idMaps(node, "gidMappings"),
        node.map("sysctl", Node::string),
        node.optional("resources", ResourcesDecoder::resources, Resources.NONE),
        node.string("cgroupsPath"),
        namespaces(node),
        node.list("devices", LinuxDecoder::device),
        node.map("netDevices", device -> new NetDeviceSpec(device.string("name"))),
        node.optional("seccomp", LinuxDecoder::seccomp),
        node.optional("rootfsPropagation", LinuxDecoder::propagation, NO_PROPAGATION),
        node.list("maskedPaths", Node::absolutePath),
        node.list("readonlyPaths", Node::absolutePath),
        node.string("mountLabel"),
        node.optional("intelRdt", LinuxDecoder::intelRdt),
        node.optional("memoryPolicy", LinuxDecoder::memoryPolicy),
        node.optional("personality", LinuxDecoder::personality),
        timeOffsets(node));
  }

  private static final Optional<Propagation> NO_PROPAGATION = Optional.empty();

  /** An empty word asks for the default, as an absent field does. */
  private static Optional<Propagation> propagation(Node node) throws BrigException {
    return node.string().isEmpty()
        ? NO_PROPAGATION
        : Optional.of(node.oneOf(Propagation::ofSpecName));
  }

  static List<IdMapSpec> idMaps(Node node, String name) throws BrigException {
    List<IdMapSpec> maps = node.list(name, LinuxDecoder::idMap);
    if (maps.size() > MAX_ID_MAPS) {
      throw node.error(name, "has " + maps.size() + " lines; the kernel takes " + MAX_ID_MAPS);
    }
    return maps;
  }

  private static IdMapSpec idMap(Node node) throws BrigException {
    long containerId = node.integer("containerID", 0, Node.U32_MAX - 1).orElse(0);
    long hostId = node.integer("hostID", 0, Node.U32_MAX - 1).orElse(0);
    long size = node.require("size").integer(1, Node.U32_MAX);
    if (containerId + size > Node.U32_MAX || hostId + size > Node.U32_MAX) {
      throw node.error("reaches beyond the highest id " + (Node.U32_MAX - 1));
    }
    return new IdMapSpec(containerId, hostId, size);
  }

  private static List<NamespaceSpec> namespaces(Node node) throws BrigException {
    List<NamespaceSpec> all = node.list("namespaces", LinuxDecoder::namespace);
    Set<NamespaceType> seen = new HashSet<>();
    for (NamespaceSpec namespace : all) {
      if (!seen.add(namespace.type())) {
        throw node.error("namespaces", namespace.type().specName() + " stands twice");
      }
    }
    return all;
  }

  private static NamespaceSpec namespace(Node node) throws BrigException {
    NamespaceType type = node.require("type").oneOf(NamespaceType::ofSpecName);
    String path = node.string("path");
    if (!path.isEmpty() && !path.startsWith("/")) {
      throw node.error("path", "is \"" + path + "\", not an absolute path");
    }
    return new NamespaceSpec(type, path);
  }

  private static DeviceSpec device(Node node) throws BrigException {
    DeviceType type = node.require("type").oneOf(DeviceType::ofSpecName);
    if (type == DeviceType.EVERY) {
      throw node.error("type", "\"a\" is for rules only, not for nodes");
    }
    // Some writers leave the file type bits in; they say nothing that type does not.
    OptionalInt mode = node.smallInteger("fileMode", 0, 0177777);
    return new DeviceSpec(
        node.require("path").absolutePath(),
        type,
        node.integer("major", 0, Node.U32_MAX).orElse(0),
        node.integer("minor", 0, Node.U32_MAX).orElse(0),
        mode.isPresent() ? OptionalInt.of(mode.getAsInt() & 07777) : mode,
        node.integer("uid", 0, Node.U32_MAX - 1),
        node.integer("gid", 0, Node.U32_MAX - 1));
  }

  private static SeccompProfile seccomp(Node node) throws BrigException {
    Set<FilterFlag> flags = EnumSet.noneOf(FilterFlag.class);
    flags.addAll(node.list("flags", flag -> flag.oneOf(FilterFlag::ofSpecName)));
    Action defaultAction = node.require("defaultAction").oneOf(Action::ofSpecName);
    return new SeccompProfile(
        defaultAction,
        errno(node, "defaultErrnoRet", defaultAction),
        node.list("architectures", arch -> arch.oneOf(Architecture::ofSpecName)),
        flags,
        node.string("listenerPath"),
        node.string("listenerMetadata"),
        node.list("syscalls", LinuxDecoder::syscall));
  }

  private static SyscallRule syscall(Node node) throws BrigException {
    List<String> names = node.list("names", Node::nonEmptyString);
    if (names.isEmpty()) {
      throw node.error("names", "is empty");
    }
    Action action = node.require("action").oneOf(Action::ofSpecName);
    return new SyscallRule(
        names, action, errno(node, "errnoRet", action), node.list("args", LinuxDecoder::argument));
  }

  private static OptionalInt errno(Node node, String name, Action action) throws BrigException {
    OptionalInt errno = node.smallInteger(name, 0, MAX_ERRNO);
    if (errno.isPresent() && action != Action.ERRNO && action != Action.TRACE) {
      throw node.error(name, "means nothing for " + action.specName());
    }
    return errno;
  }

  private static ArgumentRule argument(Node node) throws BrigException {
    return new ArgumentRule(
        (int) node.require("index").integer(0, 5),
        node.require("value").unsigned(),
        node.unsigned("valueTwo").orElse(0),
        node.require("op").oneOf(Operator::ofSpecName));
  }

  private static IntelRdtSpec intelRdt(Node node) throws BrigException {
    return new IntelRdtSpec(
        node.string("closID"),
        node.list("schemata", Node::string),
        node.string("l3CacheSchema"),
        node.string("memBwSchema"),
        node.bool("enableMonitoring"),
        node.bool("enableCMT"),
        node.bool("enableMBM"));
  }

  private static MemoryPolicySpec memoryPolicy(Node node) throws BrigException {
    Set<MemoryPolicyFlag> flags = EnumSet.noneOf(MemoryPolicyFlag.class);
    flags.addAll(node.list("flags", flag -> flag.oneOf(MemoryPolicyFlag::ofSpecName)));
    MemoryPolicySpec policy =
        new MemoryPolicySpec(
            node.require("mode").oneOf(MemoryPolicyMode::ofSpecName),
            ResourcesDecoder.numberList(node, "nodes"),
            flags);
    boolean takesNoNodes =
        policy.mode() == MemoryPolicyMode.DEFAULT || policy.mode() == MemoryPolicyMode.LOCAL;
    if (takesNoNodes && !policy.nodes().isEmpty()) {
      throw node.error("nodes", "must be empty for " + policy.mode().specName());
    }
    return policy;
  }

  private static PersonalitySpec personality(Node node) throws BrigException {
    List<String> flags = node.list("flags", Node::string);
    if (!flags.isEmpty()) {
      throw node.error("flags", "unknown value \"" + flags.getFirst() + "\"");
    }
    return new PersonalitySpec(node.require("domain").oneOf(PersonalityDomain::ofSpecName), flags);
  }

  private static Map<TimeOffsetClock, TimeOffsetSpec> timeOffsets(Node node) throws BrigException {
    Map<TimeOffsetClock, TimeOffsetSpec> offsets = new EnumMap<>(TimeOffsetClock.class);
    for (Map.Entry<String, TimeOffsetSpec> entry :
        node.map("timeOffsets", LinuxDecoder::timeOffset).entrySet()) {
      TimeOffsetClock clock =
          TimeOffsetClock.ofSpecName(entry.getKey())
              .orElseThrow(
                  () -> node.error("timeOffsets", "unknown clock \"" + entry.getKey() + "\""));
      offsets.put(clock, entry.getValue());
    }
    return offsets;
  }

  private static TimeOffsetSpec timeOffset(Node node) throws BrigException {
    return new TimeOffsetSpec(
        node.integer("secs", Long.MIN_VALUE, Long.MAX_VALUE).orElse(0),
        node.integer("nanosecs", 0, NANOS_PER_SECOND - 1).orElse(0));
  }
}
