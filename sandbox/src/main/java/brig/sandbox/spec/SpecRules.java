package brig.sandbox.spec;

import brig.sandbox.BrigException;
import java.util.HashSet;
import java.util.Set;

/** Contradictions between fields of one document. */
final class SpecRules {
  private SpecRules() {}

  static void check(Spec spec, Node node) throws BrigException {
    LinuxSpec linux = spec.linux();
    if (linux.uidMappings().isEmpty() != linux.gidMappings().isEmpty()) {
      throw node.error("linux", "has one of uidMappings and gidMappings but not the other");
    }
    boolean user = linux.namespace(NamespaceType.USER).isPresent();
    if (!linux.uidMappings().isEmpty() && !user) {
      throw node.error("linux.uidMappings", "is given without a user namespace");
    }
    if (!linux.timeOffsets().isEmpty() && linux.namespace(NamespaceType.TIME).isEmpty()) {
      throw node.error("linux.timeOffsets", "is given without a time namespace");
    }
    boolean uts = linux.namespace(NamespaceType.UTS).isPresent();
    if (!spec.hostname().isEmpty() && !uts) {
      throw node.error("hostname", "is given without a uts namespace");
    }
    if (!spec.domainname().isEmpty() && !uts) {
      throw node.error("domainname", "is given without a uts namespace");
    }
    Set<String> devices = new HashSet<>();
    for (DeviceSpec device : linux.devices()) {
      if (!devices.add(device.path())) {
        throw node.error("linux.devices", device.path() + " stands twice");
      }
    }
  }
}
