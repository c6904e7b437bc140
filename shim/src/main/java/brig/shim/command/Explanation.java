package brig.shim.command;

import brig.proto.plan.Capabilities;
import brig.proto.plan.CgroupWrite;
import brig.proto.plan.CreatePlan;
import brig.proto.plan.IdMap;
import brig.proto.plan.Landlock;
import brig.proto.plan.Namespace;
import brig.proto.plan.Process;
import brig.proto.plan.SeccompFilter;
import brig.proto.state.Asked;
import brig.proto.state.StoredLandlock;
import brig.sandbox.spec.Capability;
import brig.shim.task.ContainerState;
import brig.shim.task.GoneContainer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Collectors;

/** What one container asked for, was granted, and has. */
final class Explanation {
  private static final String GONE = "process has ended";
  private static final String NONE = "none";

  private final ContainerState state;
  private final Asked asked;
  private final CreatePlan plan;
  private final Optional<ProcessView> process;
  private final UnaryOperator<String> cgroupFile;
  private final List<Dimension> dimensions = new ArrayList<>();

  private Explanation(
      ContainerState state, Optional<ProcessView> process, UnaryOperator<String> cgroupFile) {
    this.state = state;
    this.asked = state.facts().asked();
    this.plan = state.facts().plan().getCreate();
    this.process = process;
    this.cgroupFile = cgroupFile;
  }

  static List<Dimension> of(ContainerState state) {
    return new Explanation(state, process(state), GoneContainer::text).all();
  }

  /** Of one that has been deleted: as the kernel said it before. */
  static List<Dimension> of(GoneContainer gone) {
    return new Explanation(
            gone.state(), process(gone.state()), file -> gone.cgroupFiles().getOrDefault(file, ""))
        .all();
  }

  /** As it is now, or as it was before its program began. */
  private static Optional<ProcessView> process(ContainerState state) {
    Optional<ProcessView> now =
        ProcessView.read(state.lifecycle().pid(), state.facts().startTime());
    if (now.isPresent() || state.facts().readBack().getStatus().isEmpty()) {
      return now;
    }
    return Optional.of(ProcessView.of(state.facts().readBack()));
  }

  private List<Dimension> all() {
    ids();
    namespaces();
    capabilities();
    noNewPrivileges();
    seccomp();
    labels();
    landlock();
    limits();
    return dimensions;
  }

  private void ids() {
    boolean own = asked.getUserNamespace().isEmpty();
    String why = own ? "no user namespace was asked for; every pod gets ids of its own" : "";
    add(
        "user map",
        askedMap(asked.getUidMaps()),
        maps(plan.getUidMapsList()),
        why,
        kernel(ProcessView::uidMap));
    add(
        "group map",
        askedMap(asked.getGidMaps()),
        maps(plan.getGidMapsList()),
        why,
        kernel(ProcessView::gidMap));
  }

  private String askedMap(String maps) {
    if (!maps.isEmpty()) {
      return maps.replace(':', ' ').replace(',', '\n');
    }
    return asked.getUserNamespace().isEmpty() ? NONE : "of " + asked.getUserNamespace();
  }

  private static String maps(List<IdMap> maps) {
    return maps.isEmpty()
        ? "the host's"
        : maps.stream()
            .map(map ->
                Integer.toUnsignedString(map.getContainerId())
                    + " "
                    + Integer.toUnsignedString(map.getHostId())
                    + " "
                    + Integer.toUnsignedString(map.getSize()))
            .collect(Collectors.joining("\n"));
  }

  private void namespaces() {
    String wanted =
        asked.getNamespacesList().stream()
            .map(name -> name.replaceFirst("=.*", " (joined)"))
            .sorted()
            .collect(Collectors.joining(", "));
    String granted =
        plan.getNamespacesList().stream()
            .map(Explanation::namespace)
            .sorted()
            .collect(Collectors.joining(", "));
    add(
        "namespaces",
        wanted.isEmpty() ? NONE : wanted,
        granted,
        wanted.equals(granted) ? "" : "the namespace wall adds what it needs",
        kernel(Explanation::ownNamespaces));
  }

  private static String namespace(Namespace namespace) {
    String name = namespace.getKind().name().toLowerCase(Locale.ROOT);
    return namespace.getJoinHandle() == 0 ? name : name + " (joined)";
  }

  private static String ownNamespaces(ProcessView view) {
    if (view.namespaces().isEmpty()) {
      return "not readable: this brigd stands in a pod's Landlock domain; end it and its parent";
    }
    Map<String, String> host = ProcessView.ownNamespaces();
    TreeSet<String> own = new TreeSet<>();
    TreeSet<String> shared = new TreeSet<>();
    view.namespaces()
        .forEach((name, id) -> (id.equals(host.get(name)) ? shared : own).add(longName(name)));
    return "own: "
        + String.join(", ", own)
        + (shared.isEmpty() ? "" : "\nthe host's: " + String.join(", ", shared));
  }

  private static String longName(String link) {
    return switch (link) {
      case "mnt" -> "mount";
      case "net" -> "network";
      default -> link;
    };
  }

  private void capabilities() {
    var wanted = asked.getCapabilities();
    Capabilities granted = plan.getProcess().getCapabilities();
    set("capabilities: bounding", wanted.getBounding(), granted.getBounding(), "CapBnd");
    set("  effective", wanted.getEffective(), granted.getEffective(), "CapEff");
    set("  permitted", wanted.getPermitted(), granted.getPermitted(), "CapPrm");
    set("  inheritable", wanted.getInheritable(), granted.getInheritable(), "CapInh");
    set("  ambient", wanted.getAmbient(), granted.getAmbient(), "CapAmb");
  }

  private void set(String name, long wanted, long granted, String field) {
    String kernel =
        kernel(view -> capabilityNames(parseHex(view.status().getOrDefault(field, "0"))));
    String why = wanted == granted ? "" : "of those asked for, what the class and this host allow";
    add(name, capabilityNames(wanted), capabilityNames(granted), why, kernel);
  }

  private static long parseHex(String text) {
    return text.matches("[0-9a-f]{1,16}") ? Long.parseUnsignedLong(text, 16) : 0;
  }

  static String capabilityNames(long mask) {
    String names =
        Arrays.stream(Capability.values())
            .filter(capability -> (mask >>> capability.number() & 1) == 1)
            .map(capability -> capability.name().toLowerCase(Locale.ROOT))
            .collect(Collectors.joining(" "));
    return names.isEmpty() ? NONE : names;
  }

  private void noNewPrivileges() {
    boolean granted = plan.getProcess().getNoNewPrivileges();
    boolean wanted = asked.getNoNewPrivileges();
    add(
        "no_new_privs",
        wanted ? "yes" : "no",
        granted ? "yes" : "no",
        granted && !wanted ? "part of the wall" : "",
        kernel(view -> view.status().getOrDefault("NoNewPrivs", "?").equals("1") ? "yes" : "no"));
  }

  private void seccomp() {
    List<SeccompFilter> filters = plan.getProcess().getSeccompList();
    String granted =
        filters.isEmpty()
            ? NONE
            : filters.stream()
                .map(filter -> filter.getProgram().size() / 8 + " instructions")
                .collect(Collectors.joining(", ", "filter of ", ""));
    boolean builtIn = asked.getSeccomp().isEmpty() && !filters.isEmpty();
    add(
        "seccomp",
        asked.getSeccomp().isEmpty() ? NONE : asked.getSeccomp(),
        granted,
        builtIn ? "the built-in policy holds where the spec has none" : "",
        kernel(Explanation::seccompMode));
  }

  private static String seccompMode(ProcessView view) {
    String filters = view.status().getOrDefault("Seccomp_filters", "?");
    return switch (view.status().getOrDefault("Seccomp", "")) {
      case "0" -> "mode 0: off";
      case "1" -> "mode 1: strict";
      case "2" -> "mode 2: filter (" + filters + " installed)";
      case "3" -> "mode 3: killed by its filter (" + filters + " installed)";
      default -> "not told by this kernel";
    };
  }

  private void labels() {
    Process granted = plan.getProcess();
    add(
        "LSM label",
        label(asked.getApparmorProfile(), asked.getSelinuxLabel()),
        label(granted.getApparmorProfile(), granted.getSelinuxLabel()),
        "",
        kernel(view -> view.label().isEmpty() ? "no module has one" : view.label()));
  }

  private static String label(String apparmor, String selinux) {
    String both =
        (apparmor.isEmpty() ? "" : "AppArmor " + apparmor + " ")
            + (selinux.isEmpty() ? "" : "SELinux " + selinux);
    return both.isEmpty() ? NONE : both.strip();
  }

  private void landlock() {
    Landlock rules = plan.getProcess().getLandlock();
    StoredLandlock probe = state.facts().readBack().getLandlock();
    boolean scopes = probe.getRefusedCount() + probe.getUnprovenCount() > 0;
    List<String> granted = new ArrayList<>();
    if (scopes) {
      granted.add("scopes: signals and abstract sockets end at the pod");
    }
    if (rules.getHandledFs() != 0) {
      granted.add(rules.getPathsCount() + " path rules");
    }
    if (rules.getHandledNet() != 0) {
      granted.add(rules.getPortsCount() + " port rules");
    }
    add(
        "Landlock",
        NONE,
        granted.isEmpty() ? NONE : String.join(", ", granted),
        scopes ? "part of the wall" : "this kernel has no Landlock scopes (Linux 6.12)",
        probed(probe, rules));
  }

  /** No interface shows a domain: what was tried and refused is all there is to say. */
  private static String probed(StoredLandlock probe, Landlock rules) {
    List<String> told = new ArrayList<>();
    if (probe.getRefusedCount() + probe.getUnprovenCount() == 0) {
      told.add("not available on this kernel (Landlock ABI " + probe.getAbi() + ")");
    }
    for (String access : probe.getRefusedList()) {
      told.add("probed: " + access + " outside refused");
    }
    for (String access : probe.getUnprovenList()) {
      told.add(access + " outside: not provable here, was refused without the domain as well");
    }
    if (rules.getPathsCount() + rules.getPortsCount() > 0) {
      told.add("rules: not probed");
    }
    return String.join("\n", told);
  }

  private void limits() {
    Map<String, List<CgroupWrite>> byFile = new LinkedHashMap<>();
    for (CgroupWrite write : plan.getCgroups().getWritesList()) {
      String file = GoneContainer.readable(plan.getCgroups(), write);
      byFile.computeIfAbsent(file, name -> new ArrayList<>()).add(write);
    }
    byFile.forEach(this::limit);
  }

  private void limit(String file, List<CgroupWrite> writes) {
    boolean asIs = writes.stream().allMatch(write -> write.getAskedBy().isEmpty());
    String wanted =
        writes.stream()
            .filter(write -> !write.getAskedBy().isEmpty())
            .map(write ->
                verb(write)
                    + asked.getLimitsMap().getOrDefault(write.getAskedBy(), write.getValue()))
            .collect(Collectors.joining("\n"));
    String granted =
        writes.stream()
            .map(write -> verb(write) + write.getValue())
            .collect(Collectors.joining("\n"));
    String now = cgroupFile.apply(file).strip();
    add(
        Path.of(file).getFileName() + "",
        wanted.isEmpty() ? NONE : wanted,
        granted,
        asIs ? "part of the wall" : "",
        now.isEmpty() ? "not readable" : now);
  }

  /** Which of the two files that take device rules. */
  private static String verb(CgroupWrite write) {
    return switch (write.getFile()) {
      case "devices.allow" -> "allow ";
      case "devices.deny" -> "deny ";
      default -> "";
    };
  }

  private String kernel(Function<ProcessView, String> reading) {
    return process.map(reading).orElse(GONE);
  }

  private void add(String name, String wanted, String granted, String why, String kernel) {
    dimensions.add(new Dimension(name, wanted, granted, why, kernel));
  }

  @Override
  public String toString() {
    return "explanation of " + state.id();
  }
}
