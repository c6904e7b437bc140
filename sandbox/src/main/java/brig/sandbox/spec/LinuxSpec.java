package brig.sandbox.spec;

import brig.profiles.seccomp.SeccompProfile;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** {@code linux}. */
public record LinuxSpec(
    List<IdMapSpec> uidMappings,
    List<IdMapSpec> gidMappings,
    Map<String, String> sysctl,
    Resources resources,
    String cgroupsPath,
    List<NamespaceSpec> namespaces,
    List<DeviceSpec> devices,
    Map<String, NetDeviceSpec> netDevices,
    Optional<SeccompProfile> seccomp,
    Optional<Propagation> rootfsPropagation,
    List<String> maskedPaths,
    List<String> readonlyPaths,
    String mountLabel,
    Optional<IntelRdtSpec> intelRdt,
    Optional<MemoryPolicySpec> memoryPolicy,
    Optional<PersonalitySpec> personality,
    Map<TimeOffsetClock, TimeOffsetSpec> timeOffsets) {
  public LinuxSpec {
    uidMappings = List.copyOf(uidMappings);
    gidMappings = List.copyOf(gidMappings);
    sysctl = Ordered.copy(sysctl);
    namespaces = List.copyOf(namespaces);
    devices = List.copyOf(devices);
    netDevices = Ordered.copy(netDevices);
    maskedPaths = List.copyOf(maskedPaths);
    readonlyPaths = List.copyOf(readonlyPaths);
    timeOffsets = Ordered.copy(timeOffsets);
  }

  public static final LinuxSpec NONE =
      new LinuxSpec(
          List.of(),
          List.of(),
          Map.of(),
          Resources.NONE,
          "",
          List.of(),
          List.of(),
          Map.of(),
          Optional.empty(),
          Optional.empty(),
          List.of(),
          List.of(),
          "",
          Optional.empty(),
          Optional.empty(),
          Optional.empty(),
          Map.of());

  /** The entry for this kind of namespace. */
  public Optional<NamespaceSpec> namespace(NamespaceType type) {
    return namespaces.stream().filter(namespace -> namespace.type() == type).findFirst();
  }
}
