package brig.sandbox.spec;

import brig.sandbox.BrigException;
import java.util.List;

/**
 * Reads OCI JSON of at most 4 MiB and 100,000 values into records. Every error names the field's
 * path. Unknown fields are ignored, as the specification says; unknown values, numbers out of
 * range, duplicate keys and contradictions are refused.
 */
public final class SpecParser {
  /** Longer documents are refused. */
  public static final int MAX_BYTES = JsonReader.MAX_BYTES;

  /** Sections for other platforms: a document that has one describes something else. */
  private static final List<String> OTHER_PLATFORMS =
      List.of("windows", "solaris", "freebsd", "zos", "vm");

  private SpecParser() {}

  /** config.json. */
  public static Spec parse(byte[] json) throws BrigException {
    Node node = Node.read(json, "config.json");
    for (String platform : OTHER_PLATFORMS) {
      if (node.member(platform).isPresent()) {
        throw node.error(platform, "describes another platform than Linux containers");
      }
    }
    Spec spec =
        new Spec(
            version(node.require("ociVersion")),
            node.optional("process", ProcessDecoder::process),
            node.optional("root", SpecParser::root),
            node.string("hostname"),
            node.string("domainname"),
            node.list("mounts", SpecParser::mount),
            node.optional("hooks", SpecParser::hooks, Hooks.NONE),
            node.map("annotations", Node::string),
            node.optional("linux", LinuxDecoder::linux, LinuxSpec.NONE));
    SpecRules.check(spec, node);
    return spec;
  }

  /** The OCI {@code Process} of an exec. */
  public static ProcessSpec parseProcess(byte[] json) throws BrigException {
    return ProcessDecoder.process(Node.read(json, "process"));
  }

  /** The OCI {@code LinuxResources} of an update. */
  public static Resources parseResources(byte[] json) throws BrigException {
    return ResourcesDecoder.resources(Node.read(json, "resources"));
  }

  private static String version(Node node) throws BrigException {
    String version = node.string();
    if (!version.startsWith("1.")) {
      throw node.error("version \"" + version + "\" is not 1.x");
    }
    return version;
  }

  private static RootSpec root(Node node) throws BrigException {
    return new RootSpec(node.require("path").nonEmptyString(), node.bool("readonly"));
  }

  private static MountSpec mount(Node node) throws BrigException {
    MountSpec mount =
        new MountSpec(
            node.require("destination").nonEmptyString(),
            node.string("type"),
            node.string("source"),
            node.list("options", Node::string),
            LinuxDecoder.idMaps(node, "uidMappings"),
            LinuxDecoder.idMaps(node, "gidMappings"));
    if (mount.uidMappings().isEmpty() != mount.gidMappings().isEmpty()) {
      throw node.error("has one of uidMappings and gidMappings but not the other");
    }
    return mount;
  }

  private static Hooks hooks(Node node) throws BrigException {
    return new Hooks(
        node.list("prestart", SpecParser::hook),
        node.list("createRuntime", SpecParser::hook),
        node.list("createContainer", SpecParser::hook),
        node.list("startContainer", SpecParser::hook),
        node.list("poststart", SpecParser::hook),
        node.list("poststop", SpecParser::hook));
  }

  private static HookSpec hook(Node node) throws BrigException {
    return new HookSpec(
        node.require("path").absolutePath(),
        node.list("args", Node::string),
        node.list("env", ProcessDecoder::environment),
        node.smallInteger("timeout", 1, Integer.MAX_VALUE));
  }
}
