package brig.sandbox.spec;

import brig.sandbox.BrigException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;

/** Reads {@code linux.resources}. */
final class ResourcesDecoder {
  private static final int MAX_BLKIO_WEIGHT = 1000;

  private ResourcesDecoder() {}

  static Resources resources(Node node) throws BrigException {
    return new Resources(
        node.list("devices", ResourcesDecoder::deviceRule),
        node.optional("memory", ResourcesDecoder::memory, MemoryLimits.NONE),
        node.optional("cpu", ResourcesDecoder::cpu, CpuLimits.NONE),
        node.optional("pids", pids -> pids.integer("limit", Long.MIN_VALUE, Long.MAX_VALUE))
            .orElse(OptionalLong.empty()),
        node.optional("blockIO", ResourcesDecoder::blockIo, BlockIo.NONE),
        node.list("hugepageLimits", ResourcesDecoder::hugepages),
        node.optional("network", ResourcesDecoder::network, NetworkLimits.NONE),
        node.map(
            "rdma",
            rdma ->
                new RdmaLimit(
                    rdma.integer("hcaHandles", 0, Node.U32_MAX),
                    rdma.integer("hcaObjects", 0, Node.U32_MAX))),
        unified(node));
  }

  private static DeviceRule deviceRule(Node node) throws BrigException {
    String type = node.string("type");
    String access = node.string("access");
    for (int i = 0; i < access.length(); i++) {
      if ("rwm".indexOf(access.charAt(i)) < 0) {
        throw node.error("access", "\"" + access + "\" has other letters than r, w and m");
      }
    }
    return new DeviceRule(
        node.require("allow").bool(),
        type.isEmpty() ? DeviceType.EVERY : node.named(type, ResourcesDecoder::ruleType),
        // -1 stands for all, as an absent number does.
        node.integer("major", -1, Node.U32_MAX),
        node.integer("minor", -1, Node.U32_MAX),
        access);
  }

  private static Optional<DeviceType> ruleType(String name) {
    return DeviceType.ofSpecName(name)
        .filter(type ->
            type == DeviceType.EVERY || type == DeviceType.CHAR || type == DeviceType.BLOCK);
  }

  private static MemoryLimits memory(Node node) throws BrigException {
    MemoryLimits memory =
        new MemoryLimits(
            node.integer("limit", -1, Long.MAX_VALUE),
            node.integer("reservation", -1, Long.MAX_VALUE),
            node.integer("swap", -1, Long.MAX_VALUE),
            node.integer("kernel", -1, Long.MAX_VALUE),
            node.integer("kernelTCP", -1, Long.MAX_VALUE),
            node.unsigned("swappiness"),
            node.optional("disableOOMKiller", Node::bool),
            node.optional("useHierarchy", Node::bool),
            node.optional("checkBeforeUpdate", Node::bool));
    long limit = memory.limit().orElse(0);
    long swap = memory.swap().orElse(0);
    if (limit > 0 && swap > 0 && swap < limit) {
      throw node.error("swap", "is " + swap + ", less than limit " + limit + ", which it includes");
    }
    if (memory.reservation().orElse(0) > 0
        && limit > 0
        && memory.reservation().getAsLong() > limit) {
      throw node.error(
          "reservation", "is " + memory.reservation().getAsLong() + ", more than limit " + limit);
    }
    return memory;
  }

  private static CpuLimits cpu(Node node) throws BrigException {
    return new CpuLimits(
        node.integer("shares", 0, Long.MAX_VALUE),
        node.integer("quota", Long.MIN_VALUE, Long.MAX_VALUE),
        node.integer("burst", 0, Long.MAX_VALUE),
        node.integer("period", 0, Long.MAX_VALUE),
        node.integer("realtimeRuntime", -1, Long.MAX_VALUE),
        node.integer("realtimePeriod", 0, Long.MAX_VALUE),
        numberList(node, "cpus"),
        numberList(node, "mems"),
        node.integer("idle", 0, 1));
  }

  static String numberList(Node node, String name) throws BrigException {
    String list = node.string(name);
    Optional<String> wrong = NumberList.check(list);
    if (wrong.isPresent()) {
      throw node.error(name, wrong.get());
    }
    return list;
  }

  private static BlockIo blockIo(Node node) throws BrigException {
    return new BlockIo(
        node.smallInteger("weight", 0, MAX_BLKIO_WEIGHT),
        node.smallInteger("leafWeight", 0, MAX_BLKIO_WEIGHT),
        node.list("weightDevice", ResourcesDecoder::weightDevice),
        throttles(node, "throttleReadBpsDevice"),
        throttles(node, "throttleWriteBpsDevice"),
        throttles(node, "throttleReadIOPSDevice"),
        throttles(node, "throttleWriteIOPSDevice"));
  }

  private static WeightDevice weightDevice(Node node) throws BrigException {
    return new WeightDevice(
        node.require("major").integer(0, Node.U32_MAX),
        node.require("minor").integer(0, Node.U32_MAX),
        node.smallInteger("weight", 0, MAX_BLKIO_WEIGHT),
        node.smallInteger("leafWeight", 0, MAX_BLKIO_WEIGHT));
  }

  private static List<ThrottleDevice> throttles(Node node, String name) throws BrigException {
    return node.list(
        name,
        device ->
            new ThrottleDevice(
                device.require("major").integer(0, Node.U32_MAX),
                device.require("minor").integer(0, Node.U32_MAX),
                device.require("rate").unsigned()));
  }

  private static HugepageLimit hugepages(Node node) throws BrigException {
    String size = node.require("pageSize").string();
    if (!size.matches("[1-9][0-9]{0,5}[KMG]B")) {
      throw node.error("pageSize", "\"" + size + "\" is not of the form 2MB");
    }
    return new HugepageLimit(size, node.require("limit").unsigned());
  }

  private static NetworkLimits network(Node node) throws BrigException {
    return new NetworkLimits(
        node.integer("classID", 0, Node.U32_MAX),
        node.list(
            "priorities",
            priority ->
                new InterfacePriority(
                    priority.require("name").nonEmptyString(),
                    priority.require("priority").integer(0, Node.U32_MAX))));
  }

  private static Map<String, String> unified(Node node) throws BrigException {
    Map<String, String> unified = node.map("unified", Node::string);
    for (String file : unified.keySet()) {
      if (!file.matches("[a-z0-9_]+\\.[A-Za-z0-9_.-]+")) {
        throw node.error("unified", "\"" + file + "\" is not the name of a cgroup file");
      }
    }
    return unified;
  }
}
