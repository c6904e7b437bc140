package brig.shim.task;

import brig.proto.plan.CgroupDir;
import brig.proto.plan.CgroupWrite;
import brig.proto.plan.Cgroups;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * A container that has been deleted, for who asks about it afterwards.
 *
 * @param cgroupFiles what the files of its cgroups that the plan wrote said at last, by path
 */
public record GoneContainer(PodName pod, ContainerState state, Map<String, String> cgroupFiles) {
  public GoneContainer {
    cgroupFiles = Map.copyOf(cgroupFiles);
  }

  /** To be called while its cgroups are still there. */
  static GoneContainer of(PodName pod, ContainerState last) {
    Cgroups cgroups = last.facts().plan().getCreate().getCgroups();
    Map<String, String> files = new HashMap<>();
    for (CgroupWrite write : cgroups.getWritesList()) {
      files.computeIfAbsent(readable(cgroups, write), GoneContainer::text);
    }
    return new GoneContainer(pod, last, files);
  }

  /** The file that shows what a write to another one did. */
  public static String readable(Cgroups cgroups, CgroupWrite write) {
    CgroupDir dir = cgroups.getDirs(write.getDir());
    String file = write.getFile();
    boolean rules = file.equals("devices.allow") || file.equals("devices.deny");
    return Path.of(dir.getMountPoint(), dir.getPath(), rules ? "devices.list" : file).toString();
  }

  /** What a file says, or nothing. */
  public static String text(String file) {
    try {
      return new String(Files.readAllBytes(Path.of(file)), StandardCharsets.UTF_8);
    } catch (IOException e) {
      return "";
    }
  }
}
