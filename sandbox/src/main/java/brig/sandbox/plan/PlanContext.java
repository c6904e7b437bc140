package brig.sandbox.plan;

import brig.proto.keeper.HostFacts;
import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.SandboxConfig.Unmappable;
import brig.sandbox.spec.LinuxSpec;
import java.util.List;
import java.util.OptionalLong;

/**
 * What the parts of a plan share.
 *
 * @param notes where a part says what it grants differently from what was asked
 */
record PlanContext(
    HostFacts host,
    SandboxConfig config,
    CreateInput in,
    Reports reports,
    UserNamespace user,
    List<String> notes) {

  LinuxSpec linux() {
    return in.spec().linux();
  }

  IdMaps maps() {
    return user.maps();
  }

  Unmappable unmappable() {
    return config.classConfig(in.className()).unmappable();
  }

  NewPrivileges newPrivileges() {
    return config.classConfig(in.className()).newPrivileges();
  }

  void note(String sentence) {
    notes.add(sentence);
  }

  /** The host id of a container's user, or a refusal that names the way out. */
  int hostUid(String field, long uid) throws BrigException {
    return host(field, "user", uid, maps().hostUid(uid));
  }

  int hostGid(String field, long gid) throws BrigException {
    return host(field, "group", gid, maps().hostGid(gid));
  }

  static int host(String field, String what, long id, OptionalLong host) throws BrigException {
    if (host.isEmpty()) {
      throw Refusal.host(
          field,
          what + " id " + id + " is not mapped in the container's user namespace",
          "raise ids_per_pod or add " + id + " to extra_ids in [ids] of brig.toml");
    }
    return (int) host.getAsLong();
  }
}
