package brig.sandbox.plan;

import brig.sandbox.BrigException;
import brig.sandbox.spec.Propagation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The options of a mount, taken apart: attributes by MOUNT_ATTR_* of linux/mount.h, propagation,
 * what Brig itself acts on, and data for the file system.
 *
 * @param set attributes of the mount
 * @param setRecursive attributes of the mount and all beneath it
 * @param clearRecursive attributes taken away there
 * @param propagation MS_* type with MS_REC; 0: none given
 * @param superblock options about the file system itself that the kernel takes by name (sync, ...)
 * @param data the file system's own, in order
 */
record MountOptions(
    boolean bind,
    boolean recursive,
    long set,
    long setRecursive,
    long clearRecursive,
    int propagation,
    boolean tmpcopyup,
    IdmapAsked idmap,
    List<String> superblock,
    List<String> data) {

  static final long RDONLY = 0x1;
  static final long NOSUID = 0x2;
  static final long NODEV = 0x4;
  static final long NOEXEC = 0x8;

  /** The mask of the three ways to keep access times. */
  static final long ATIME = 0x70;

  static final long NOATIME = 0x10;
  static final long STRICTATIME = 0x20;
  static final long NODIRATIME = 0x80;
  static final long NOSYMFOLLOW = 0x200000;

  /** What the options {@code idmap} and {@code ridmap} ask for. */
  enum IdmapAsked {
    NO,
    TOP,
    RECURSIVE
  }

  /**
   * @param mask the attributes that the option decides
   * @param value those that it sets
   */
  private record Attribute(long mask, long value) {}

  private static final Map<String, Attribute> ATTRIBUTES =
      Map.ofEntries(
          Map.entry("ro", new Attribute(RDONLY, RDONLY)),
          Map.entry("rw", new Attribute(RDONLY, 0)),
          Map.entry("nosuid", new Attribute(NOSUID, NOSUID)),
          Map.entry("suid", new Attribute(NOSUID, 0)),
          Map.entry("nodev", new Attribute(NODEV, NODEV)),
          Map.entry("dev", new Attribute(NODEV, 0)),
          Map.entry("noexec", new Attribute(NOEXEC, NOEXEC)),
          Map.entry("exec", new Attribute(NOEXEC, 0)),
          Map.entry("noatime", new Attribute(ATIME, NOATIME)),
          Map.entry("atime", new Attribute(ATIME, 0)),
          Map.entry("relatime", new Attribute(ATIME, 0)),
          Map.entry("norelatime", new Attribute(ATIME, 0)),
          Map.entry("strictatime", new Attribute(ATIME, STRICTATIME)),
          Map.entry("nostrictatime", new Attribute(ATIME, 0)),
          Map.entry("nodiratime", new Attribute(NODIRATIME, NODIRATIME)),
          Map.entry("diratime", new Attribute(NODIRATIME, 0)),
          Map.entry("nosymfollow", new Attribute(NOSYMFOLLOW, NOSYMFOLLOW)),
          Map.entry("symfollow", new Attribute(NOSYMFOLLOW, 0)));

  MountOptions {
    superblock = List.copyOf(superblock);
    data = List.copyOf(data);
  }

  boolean readOnly() {
    return (set & RDONLY) != 0 || (setRecursive & RDONLY) != 0;
  }

  /**
   * @param field of the spec, for messages
   */
  static MountOptions parse(String field, List<String> options) throws BrigException {
    boolean bind = false;
    boolean recursive = false;
    long set = 0;
    long setRecursive = 0;
    long clearRecursive = 0;
    int propagation = 0;
    boolean tmpcopyup = false;
    IdmapAsked idmap = IdmapAsked.NO;
    List<String> superblock = new ArrayList<>();
    List<String> data = new ArrayList<>();
    for (String option : options) {
      Attribute attribute = ATTRIBUTES.get(option);
      if (attribute != null) {
        set = set & ~attribute.mask | attribute.value;
        continue;
      }
      Attribute everywhere = option.startsWith("r") ? ATTRIBUTES.get(option.substring(1)) : null;
      if (everywhere != null) {
        setRecursive = setRecursive & ~everywhere.mask | everywhere.value;
        clearRecursive = clearRecursive & ~everywhere.mask | everywhere.mask & ~everywhere.value;
        continue;
      }
      Optional<Propagation> type = Propagation.ofSpecName(option);
      if (type.isPresent()) {
        propagation = type.get().number();
        continue;
      }
      switch (option) {
        case "defaults", "" -> {}
        case "bind" -> bind = true;
        case "rbind" -> {
          bind = true;
          recursive = true;
        }
        case "idmap" -> idmap = IdmapAsked.TOP;
        case "ridmap" -> idmap = IdmapAsked.RECURSIVE;
        case "tmpcopyup" -> tmpcopyup = true;
        case "sync", "async", "dirsync", "lazytime", "nolazytime", "mand", "nomand" ->
            superblock.add(option);
        // About the kernel's log and a counter that only file systems themselves use.
        case "silent", "loud", "iversion", "noiversion" -> {}
        case "remount" -> throw Refusal.invalid(field, "\"remount\" is no way to make a mount", "");
        default -> data.add(option);
      }
    }
    // mount_setattr(2) changes the way of access times only where the old one is cleared.
    if ((setRecursive & ATIME) != 0) {
      clearRecursive |= ATIME;
    }
    return new MountOptions(
        bind,
        recursive,
        set,
        setRecursive,
        clearRecursive,
        propagation,
        tmpcopyup,
        idmap,
        superblock,
        data);
  }

  /** What mount_setattr(2) must clear for {@link #set} to take effect. */
  long clear() {
    return (set & ATIME) != 0 ? ATIME : 0;
  }
}
