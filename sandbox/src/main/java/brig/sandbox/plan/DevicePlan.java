package brig.sandbox.plan;

import brig.proto.plan.CreatePlan;
import brig.proto.plan.Device;
import brig.proto.plan.Fresh;
import brig.proto.plan.Mount;
import brig.proto.plan.Symlink;
import brig.sandbox.BrigException;
import brig.sandbox.spec.DeviceSpec;
import brig.sandbox.spec.MountSpec;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Device nodes and the links beside them. Numbers of the standard nodes: the kernel's
 * admin-guide/devices.txt.
 */
final class DevicePlan {
  private static final int EVERYBODY = 0666;

  private static final List<Device> STANDARD =
      List.of(
          character("/dev/null", 1, 3),
          character("/dev/zero", 1, 5),
          character("/dev/full", 1, 7),
          character("/dev/random", 1, 8),
          character("/dev/urandom", 1, 9),
          character("/dev/tty", 5, 0));

  private static final List<Symlink> LINKS =
      List.of(
          link("/dev/fd", "/proc/self/fd"),
          link("/dev/stdin", "/proc/self/fd/0"),
          link("/dev/stdout", "/proc/self/fd/1"),
          link("/dev/stderr", "/proc/self/fd/2"),
          link("/dev/core", "/proc/kcore"),
          link("/dev/ptmx", "pts/ptmx"));

  private DevicePlan() {}

  static void plan(PlanContext context, CreatePlan.Builder plan) throws BrigException {
    switch (dev(context)) {
      case BOUND -> {
        if (!context.linux().devices().isEmpty()) {
          context.note("devices: /dev is a bind mount, so none of the spec's nodes is made in it");
        }
        return;
      }
      case NONE -> {
        plan.addMounts(ownDev());
        context.note("/dev: the spec mounts nothing there; it is an empty tmpfs of Brig's");
      }
      case FRESH -> {}
    }
    Map<String, Device> devices = new LinkedHashMap<>();
    STANDARD.forEach(device -> devices.put(device.getPath(), device));
    List<DeviceSpec> specs = context.linux().devices();
    for (int i = 0; i < specs.size(); i++) {
      Device device = device(context, "linux.devices[" + i + "]", specs.get(i));
      devices.put(device.getPath(), device);
    }
    plan.addAllDevices(devices.values());
    for (Symlink link : LINKS) {
      if (!devices.containsKey(link.getPath())) {
        plan.addSymlinks(link);
      }
    }
  }

  private enum Dev {
    FRESH,
    BOUND,
    NONE
  }

  private static Dev dev(PlanContext context) throws BrigException {
    Dev dev = Dev.NONE;
    for (MountSpec mount : context.in().spec().mounts()) {
      if (InsidePath.normal(mount.destination()).equals("/dev")) {
        boolean bind = MountPlan.isBind(mount, MountOptions.parse("mounts", mount.options()));
        dev = bind ? Dev.BOUND : Dev.FRESH;
      }
    }
    return dev;
  }

  private static Mount ownDev() {
    return Mount.newBuilder()
        .setDestination("/dev")
        .setFresh(
            Fresh.newBuilder()
                .setFsType("tmpfs")
                .setSourceName("tmpfs")
                .addOptions("mode=755")
                .addOptions("size=65536k"))
        .setAttrSet(MountOptions.NOSUID)
        .setDestinationNofollow(true)
        .setSpecIndex(-1)
        .build();
  }

  private static Device device(PlanContext context, String field, DeviceSpec spec)
      throws BrigException {
    String path = InsidePath.normal(spec.path());
    if (!InsidePath.within(path, "/dev") || path.equals("/dev")) {
      throw Refusal.notEnforced(
          field + ".path",
          path + " lies outside /dev, where the root file system allows no device",
          "give it a path below /dev");
    }
    context.hostUid(field + ".uid", spec.uid().orElse(0));
    context.hostGid(field + ".gid", spec.gid().orElse(0));
    return Device.newBuilder()
        .setPath(path)
        .setType(
            switch (spec.type()) {
              case CHAR, UNBUFFERED, EVERY -> Device.Type.CHAR;
              case BLOCK -> Device.Type.BLOCK;
              case FIFO -> Device.Type.FIFO;
            })
        .setMajor((int) spec.major())
        .setMinor((int) spec.minor())
        .setMode(spec.fileMode().orElse(EVERYBODY))
        .setUid((int) spec.uid().orElse(0))
        .setGid((int) spec.gid().orElse(0))
        .build();
  }

  private static Device character(String path, int major, int minor) {
    return Device.newBuilder()
        .setPath(path)
        .setType(Device.Type.CHAR)
        .setMajor(major)
        .setMinor(minor)
        .setMode(EVERYBODY)
        .build();
  }

  private static Symlink link(String path, String target) {
    return Symlink.newBuilder().setPath(path).setTarget(target).build();
  }
}
