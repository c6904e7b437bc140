package brig.shim.task;

import brig.proto.state.Asked;
import brig.proto.state.Capabilities;
import brig.sandbox.spec.Capability;
import brig.sandbox.spec.CapabilitySets;
import brig.sandbox.spec.CpuLimits;
import brig.sandbox.spec.IdMapSpec;
import brig.sandbox.spec.LinuxSpec;
import brig.sandbox.spec.MemoryLimits;
import brig.sandbox.spec.NamespaceSpec;
import brig.sandbox.spec.NamespaceType;
import brig.sandbox.spec.ProcessSpec;
import brig.sandbox.spec.Resources;
import brig.sandbox.spec.Spec;
import java.util.List;
import java.util.Locale;
import java.util.OptionalLong;
import java.util.Set;
import java.util.stream.Collectors;

/** What config.json asked for, in few words, for {@code brig explain}. */
final class AskedSummary {
  private AskedSummary() {}

  static Asked of(Spec spec) {
    Asked.Builder asked = Asked.newBuilder();
    LinuxSpec linux = spec.linux();
    for (NamespaceSpec namespace : linux.namespaces()) {
      String name = namespace.type().specName();
      String path = namespace.path();
      asked.addNamespaces(path.isEmpty() ? name : name + "=" + path);
      if (namespace.type() == NamespaceType.USER) {
        asked.setUserNamespace(path.isEmpty() ? "new" : path);
      }
    }
    asked.setUidMaps(maps(linux.uidMappings())).setGidMaps(maps(linux.gidMappings()));
    linux
        .seccomp()
        .ifPresent(profile ->
            asked.setSeccomp(
                profile.syscalls().size()
                    + " rules, otherwise "
                    + profile.defaultAction().name().toLowerCase(Locale.ROOT)));
    spec.process().ifPresent(process -> process(process, asked));
    limits(linux.resources(), asked);
    return asked.build();
  }

  private static void process(ProcessSpec process, Asked.Builder asked) {
    process.capabilities().ifPresent(sets -> asked.setCapabilities(capabilities(sets)));
    asked
        .setNoNewPrivileges(process.noNewPrivileges())
        .setApparmorProfile(process.apparmorProfile())
        .setSelinuxLabel(process.selinuxLabel())
        .setUser(process.user().uid() + ":" + process.user().gid());
  }

  private static Capabilities capabilities(CapabilitySets sets) {
    return Capabilities.newBuilder()
        .setBounding(mask(sets.bounding()))
        .setEffective(mask(sets.effective()))
        .setPermitted(mask(sets.permitted()))
        .setInheritable(mask(sets.inheritable()))
        .setAmbient(mask(sets.ambient()))
        .build();
  }

  private static long mask(Set<Capability> set) {
    return set.stream().mapToLong(c -> 1L << c.number()).reduce(0, (a, b) -> a | b);
  }

  private static String maps(List<IdMapSpec> maps) {
    return maps.stream()
        .map(map -> map.containerId() + ":" + map.hostId() + ":" + map.size())
        .collect(Collectors.joining(","));
  }

  private static void limits(Resources resources, Asked.Builder asked) {
    MemoryLimits memory = resources.memory();
    limit(asked, "memory.limit", memory.limit());
    limit(asked, "memory.reservation", memory.reservation());
    limit(asked, "memory.swap", memory.swap());
    CpuLimits cpu = resources.cpu();
    limit(asked, "cpu.shares", cpu.shares());
    limit(asked, "cpu.quota", cpu.quota());
    limit(asked, "cpu.period", cpu.period());
    if (!cpu.cpus().isEmpty()) {
      asked.putLimits("cpu.cpus", cpu.cpus());
    }
    limit(asked, "pids.limit", resources.pidsLimit());
  }

  private static void limit(Asked.Builder asked, String name, OptionalLong value) {
    value.ifPresent(number -> asked.putLimits(name, Long.toString(number)));
  }
}
