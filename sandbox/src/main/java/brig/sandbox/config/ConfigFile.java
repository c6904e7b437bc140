package brig.sandbox.config;

import brig.sandbox.BrigException;
import brig.sandbox.SandboxConfig;
import brig.sandbox.SandboxConfig.Api;
import brig.sandbox.SandboxConfig.ClassConfig;
import brig.sandbox.SandboxConfig.Ids;
import brig.sandbox.SandboxConfig.Metrics;
import brig.sandbox.SandboxConfig.NewPrivileges;
import brig.sandbox.SandboxConfig.Paths;
import brig.sandbox.SandboxConfig.Unmappable;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * brig.toml. Errors name file, line and column; an unknown key is refused with the nearest known
 * one.
 */
public final class ConfigFile {
  private static final long MAX_ID = 0xffff_fffeL;

  private ConfigFile() {}

  /**
   * @param text content of the file
   * @param name of the file, for messages
   */
  public static SandboxConfig parse(String text, String name) throws BrigException {
    return parse(text, name, Paths.DEFAULT);
  }

  /**
   * As {@link #parse(String, String)}, for an installation beneath a prefix.
   *
   * @param places of what {@code [paths]} leaves out
   */
  public static SandboxConfig parse(String text, String name, Paths places) throws BrigException {
    Section root = Section.parse(text, name);
    root.known(List.of("paths", "ids", "cgroups", "metrics", "class"));
    return new SandboxConfig(
        paths(root.table("paths"), places),
        ids(root.table("ids")),
        cgroupParent(root.table("cgroups")),
        metrics(root.table("metrics")),
        classes(root.table("class")));
  }

  private static Paths paths(Optional<Section> given, Paths places) throws BrigException {
    if (given.isEmpty()) {
      return places;
    }
    Section section = given.get();
    section.known(List.of("run", "var", "floor", "sockets"));
    // The launcher's; here only its form is checked.
    section.absolutePath("sockets", "/");
    return new Paths(
        section.absolutePath("run", places.run()),
        section.absolutePath("var", places.var()),
        section.absolutePath("floor", places.floor()));
  }

  private static Ids ids(Optional<Section> given) throws BrigException {
    if (given.isEmpty()) {
      return Ids.DEFAULT;
    }
    Section section = given.get();
    section.known(List.of("pool_start", "pool_size", "ids_per_pod", "extra_ids", "allow_host_ids"));
    Ids ids =
        new Ids(
            section.number("pool_start", Ids.HOST_IDS, MAX_ID, Ids.DEFAULT.poolStart()),
            section.number("pool_size", 1, MAX_ID, Ids.DEFAULT.poolSize()),
            section.number("ids_per_pod", 1, MAX_ID, Ids.DEFAULT.idsPerPod()),
            section.numbers("extra_ids", 0, MAX_ID),
            section.bool("allow_host_ids", Ids.DEFAULT.allowHostIds()));
    if (ids.poolStart() + ids.poolSize() > MAX_ID + 1) {
      throw section.error("pool_size", "reaches beyond the highest id " + MAX_ID);
    }
    if (ids.perPod() > ids.poolSize()) {
      throw section.error("ids_per_pod", "is more than the pool has: " + ids.poolSize());
    }
    for (long id : ids.extraIds()) {
      if (id < ids.idsPerPod()) {
        throw section.error(
            "extra_ids", id + " is among the first ids_per_pod, which every pod has");
      }
    }
    return ids;
  }

  private static String cgroupParent(Optional<Section> given) throws BrigException {
    if (given.isEmpty()) {
      return SandboxConfig.DEFAULT.cgroupParent();
    }
    given.get().known(List.of("parent"));
    return given.get().absolutePath("parent", SandboxConfig.DEFAULT.cgroupParent());
  }

  private static Metrics metrics(Optional<Section> given) throws BrigException {
    if (given.isEmpty()) {
      return Metrics.DEFAULT;
    }
    Section section = given.get();
    section.known(List.of("socket", "listen"));
    String socket = section.absolutePath("socket", "");
    return new Metrics(
        Optional.of(socket).filter(path -> !path.isEmpty()), section.loopback("listen"));
  }

  private static Map<String, ClassConfig> classes(Optional<Section> given) throws BrigException {
    Map<String, ClassConfig> classes = new LinkedHashMap<>();
    if (given.isEmpty()) {
      return classes;
    }
    for (String name : given.get().keys()) {
      Optional<Section> section = given.get().table(name);
      if (section.isPresent()) {
        classes.put(name, classConfig(section.get()));
      }
    }
    return classes;
  }

  private static ClassConfig classConfig(Section section) throws BrigException {
    section.known(List.of("unmappable", "api", "grpc_accept_loss", "new_privileges"));
    ClassConfig config =
        new ClassConfig(
            section.word("unmappable", Unmappable.class, ClassConfig.DEFAULT.unmappable()),
            section.word("api", Api.class, ClassConfig.DEFAULT.api()),
            section.bool("grpc_accept_loss", ClassConfig.DEFAULT.grpcAcceptLoss()),
            section.word(
                "new_privileges", NewPrivileges.class, ClassConfig.DEFAULT.newPrivileges()));
    if (config.api() == Api.GRPC && !config.grpcAcceptLoss()) {
      throw section.error(
          "api",
          "\"grpc\" loses calls when the daemon ends, since HTTP/2 connections end with it; set"
              + " grpc_accept_loss = true, or use \"ttrpc\"");
    }
    return config;
  }
}
