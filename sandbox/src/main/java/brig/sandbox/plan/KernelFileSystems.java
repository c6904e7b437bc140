package brig.sandbox.plan;

import java.util.Set;

/** Magic numbers of linux/magic.h: file systems that show the kernel and hold no files of users. */
final class KernelFileSystems {
  private static final long PROC = 0x9fa0;
  private static final long SYSFS = 0x62656572;
  private static final long CGROUP = 0x27e0eb;
  private static final long CGROUP2 = 0x63677270;
  private static final long DEBUGFS = 0x64626720;
  private static final long TRACEFS = 0x74726163;
  private static final long SECURITYFS = 0x73636673;
  private static final long DEVPTS = 0x1cd1;
  private static final long BPF = 0xcafe4a11L;
  private static final long NSFS = 0x6e736673;
  private static final long SELINUX = 0xf97cff8cL;
  private static final long MQUEUE = 0x19800202;
  private static final long HUGETLBFS = 0x958458f6L;

  private static final Set<Long> ALL =
      Set.of(
          PROC,
          SYSFS,
          CGROUP,
          CGROUP2,
          DEBUGFS,
          TRACEFS,
          SECURITYFS,
          DEVPTS,
          BPF,
          NSFS,
          SELINUX,
          MQUEUE,
          HUGETLBFS);

  private KernelFileSystems() {}

  static boolean contains(long magic) {
    return ALL.contains(magic & 0xffff_ffffL);
  }
}
