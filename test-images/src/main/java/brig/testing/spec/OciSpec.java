package brig.testing.spec;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;

/**
 * An OCI runtime specification in the form in which containerd's clients write it by default, to be
 * changed by the test that uses it. {@link #json()} is the document itself, for what has no method
 * here.
 */
public final class OciSpec {

  private static final ObjectMapper MAPPER = new ObjectMapper();

  /** What containerd grants by default. */
  public static final List<String> DEFAULT_CAPABILITIES =
      List.of(
          "CAP_CHOWN",
          "CAP_DAC_OVERRIDE",
          "CAP_FSETID",
          "CAP_FOWNER",
          "CAP_MKNOD",
          "CAP_NET_RAW",
          "CAP_SETGID",
          "CAP_SETUID",
          "CAP_SETFCAP",
          "CAP_SETPCAP",
          "CAP_NET_BIND_SERVICE",
          "CAP_SYS_CHROOT",
          "CAP_KILL",
          "CAP_AUDIT_WRITE");

  public static final List<String> MASKED =
      List.of(
          "/proc/acpi",
          "/proc/asound",
          "/proc/kcore",
          "/proc/keys",
          "/proc/latency_stats",
          "/proc/timer_list",
          "/proc/timer_stats",
          "/proc/sched_debug",
          "/sys/firmware",
          "/proc/scsi");

  public static final List<String> READ_ONLY =
      List.of("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger");

  private final ObjectNode root = MAPPER.createObjectNode();

  private OciSpec() {}

  /** The default specification, running a command as root. */
  public static OciSpec running(String... command) {
    OciSpec spec = new OciSpec();
    spec.root.put("ociVersion", "1.0.2");
    spec.root.putObject("root").put("path", "rootfs");
    ObjectNode process = spec.root.putObject("process");
    process.putObject("user").put("uid", 0).put("gid", 0);
    spec.command(command);
    process
        .putArray("env")
        .add("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    process.put("cwd", "/").put("noNewPrivileges", true);
    spec.capabilities(DEFAULT_CAPABILITIES);
    process
        .putArray("rlimits")
        .addObject()
        .put("type", "RLIMIT_NOFILE")
        .put("hard", 1024)
        .put("soft", 1024);
    spec.defaultMounts();
    ObjectNode linux = spec.root.putObject("linux");
    linux
        .putObject("resources")
        .putArray("devices")
        .addObject()
        .put("allow", false)
        .put("access", "rwm");
    ArrayNode namespaces = linux.putArray("namespaces");
    for (String type : List.of("pid", "ipc", "uts", "mount", "network")) {
      namespaces.addObject().put("type", type);
    }
    spec.maskedPaths(MASKED);
    spec.readonlyPaths(READ_ONLY);
    return spec;
  }

  private void defaultMounts() {
    root.putArray("mounts");
    mount("proc", "proc", "/proc", "nosuid", "noexec", "nodev");
    mount("tmpfs", "tmpfs", "/dev", "nosuid", "strictatime", "mode=755", "size=65536k");
    mount(
        "devpts",
        "devpts",
        "/dev/pts",
        "nosuid",
        "noexec",
        "newinstance",
        "ptmxmode=0666",
        "mode=0620",
        "gid=5");
    mount("tmpfs", "shm", "/dev/shm", "nosuid", "noexec", "nodev", "mode=1777", "size=65536k");
    mount("mqueue", "mqueue", "/dev/mqueue", "nosuid", "noexec", "nodev");
    mount("sysfs", "sysfs", "/sys", "nosuid", "noexec", "nodev", "ro");
    mount("tmpfs", "tmpfs", "/run", "nosuid", "strictatime", "mode=755", "size=65536k");
  }

  public ObjectNode json() {
    return root;
  }

  public ObjectNode process() {
    return root.withObject("/process");
  }

  public ObjectNode linux() {
    return root.withObject("/linux");
  }

  public ObjectNode resources() {
    return root.withObject("/linux/resources");
  }

  public OciSpec command(String... command) {
    strings(process(), "args", List.of(command));
    return this;
  }

  public OciSpec user(int uid, int gid, int... additionalGroups) {
    ObjectNode user = process().putObject("user").put("uid", uid).put("gid", gid);
    if (additionalGroups.length > 0) {
      ArrayNode groups = user.putArray("additionalGids");
      for (int group : additionalGroups) {
        groups.add(group);
      }
    }
    return this;
  }

  public OciSpec workingDirectory(String path) {
    process().put("cwd", path);
    return this;
  }

  public OciSpec environment(String variable) {
    process().withArray("env").add(variable);
    return this;
  }

  public OciSpec terminal() {
    process().put("terminal", true);
    return this;
  }

  public boolean isTerminal() {
    return process().path("terminal").asBoolean();
  }

  public OciSpec hostname(String name) {
    root.put("hostname", name);
    return this;
  }

  public OciSpec annotation(String key, String value) {
    root.withObject("/annotations").put(key, value);
    return this;
  }

  /**
   * The bounding, effective and permitted sets; the others stay empty, as containerd leaves them.
   */
  public OciSpec capabilities(List<String> names) {
    ObjectNode sets = process().putObject("capabilities");
    for (String set : List.of("bounding", "effective", "permitted")) {
      strings(sets, set, names);
    }
    return this;
  }

  public OciSpec noNewPrivileges(boolean on) {
    process().put("noNewPrivileges", on);
    return this;
  }

  public OciSpec mount(String type, String source, String destination, String... options) {
    ObjectNode mount =
        root.withArray("mounts")
            .addObject()
            .put("destination", destination)
            .put("type", type)
            .put("source", source);
    strings(mount, "options", List.of(options));
    return this;
  }

  public OciSpec bind(String source, String destination, String... options) {
    String[] all = new String[options.length + 1];
    all[0] = "rbind";
    System.arraycopy(options, 0, all, 1, options.length);
    return mount("bind", source, destination, all);
  }

  /** Takes the mount of a destination out. */
  public OciSpec withoutMount(String destination) {
    ArrayNode mounts = root.withArray("mounts");
    for (int i = mounts.size() - 1; i >= 0; i--) {
      if (mounts.get(i).path("destination").asText().equals(destination)) {
        mounts.remove(i);
      }
    }
    return this;
  }

  public OciSpec maskedPaths(List<String> paths) {
    strings(linux(), "maskedPaths", paths);
    return this;
  }

  public OciSpec readonlyPaths(List<String> paths) {
    strings(linux(), "readonlyPaths", paths);
    return this;
  }

  public OciSpec readonlyRoot() {
    root.withObject("/root").put("readonly", true);
    return this;
  }

  /** The root as a directory of the host, as {@code ctr run --rootfs} and Docker give it. */
  public OciSpec rootPath(String path) {
    root.withObject("/root").put("path", path);
    return this;
  }

  public OciSpec cgroupsPath(String path) {
    linux().put("cgroupsPath", path);
    return this;
  }

  public OciSpec withoutNamespace(String type) {
    ArrayNode namespaces = linux().withArray("namespaces");
    for (int i = namespaces.size() - 1; i >= 0; i--) {
      if (namespaces.get(i).path("type").asText().equals(type)) {
        namespaces.remove(i);
      }
    }
    return this;
  }

  /** A namespace that already exists. */
  public OciSpec joinNamespace(String type, String path) {
    withoutNamespace(type);
    linux().withArray("namespaces").addObject().put("type", type).put("path", path);
    return this;
  }

  public OciSpec newNamespace(String type) {
    withoutNamespace(type);
    linux().withArray("namespaces").addObject().put("type", type);
    return this;
  }

  public OciSpec memoryLimit(long bytes) {
    resources().withObject("/memory").put("limit", bytes);
    return this;
  }

  public OciSpec pidsLimit(long limit) {
    resources().withObject("/pids").put("limit", limit);
    return this;
  }

  public OciSpec sysctl(String key, String value) {
    // Not by JSON pointer: the key's dots are its own.
    JsonNode known = linux().get("sysctl");
    ObjectNode all = known instanceof ObjectNode object ? object : linux().putObject("sysctl");
    all.put(key, value);
    return this;
  }

  public OciSpec rlimit(String type, long soft, long hard) {
    process()
        .withArray("rlimits")
        .addObject()
        .put("type", type)
        .put("soft", soft)
        .put("hard", hard);
    return this;
  }

  /**
   * @param point as the specification calls it: {@code createRuntime} and so on
   * @param command path and arguments
   */
  public OciSpec hook(String point, String... command) {
    ObjectNode hook = root.withObject("/hooks").withArray(point).addObject();
    hook.put("path", command[0]).put("timeout", 60);
    strings(hook, "args", List.of(command));
    hook.putArray("env").add("PATH=/usr/sbin:/usr/bin:/sbin:/bin").add("HOOK=" + point);
    return this;
  }

  /** A process for an exec in this container: the specification's own, with another command. */
  public ObjectNode execProcess(String... command) {
    ObjectNode copy = process().deepCopy();
    strings(copy, "args", List.of(command));
    return copy;
  }

  @Override
  public String toString() {
    return root.toString();
  }

  private static void strings(ObjectNode object, String field, List<String> values) {
    ArrayNode array = object.putArray(field);
    values.forEach(array::add);
  }
}
