//! What a workload with all capabilities in its user namespace can do to the mounts it was given, when these were made by a
//! more privileged mount namespace and its own `unshare(CLONE_NEWNS)` came last: the ground the wall's masks stand on. Also
//! what it could do had the order been another, which is why the order is what it is.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use brig_sys::process::{Fork, exit_now, fork};
use common::{MAPPED_ROOT, Scratch, attach, in_own_mounts, last_error};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, OpenTreeFlags, UnmountFlags, mount,
};

type Outcome = rustix::io::Result<()>;

/// What was tried, and what the kernel said.
type Report = BTreeMap<String, Outcome>;

const NEW_NAMESPACES: i32 =
    libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC;

fn unshare(flags: i32) -> Outcome {
    // SAFETY: namespace flags change neither memory nor descriptors.
    match unsafe { libc::unshare(flags) } {
        0 => Ok(()),
        _ => Err(last_error()),
    }
}

/// A root like a container's, in place of everything this mount namespace had: /proc with a mask and a read-only part,
/// read-only /sys with a mask.
fn build_tree(scratch: &Scratch) {
    let root = &scratch.0;
    let no_options = None::<&std::ffi::CStr>;
    mount("tmpfs", root, "tmpfs", MountFlags::empty(), no_options).expect("root");
    for name in ["proc", "sys", "mnt"] {
        scratch.directory(name);
    }
    let at = |name: &str| root.join(name);
    mount("proc", at("proc"), "proc", MountFlags::empty(), no_options).expect("proc");
    mount(
        "tmpfs",
        at("proc/irq"),
        "tmpfs",
        MountFlags::RDONLY,
        no_options,
    )
    .expect("mask in proc");
    rustix::mount::mount_bind(at("proc/sys"), at("proc/sys")).expect("bind of proc/sys");
    let read_only = MountFlags::BIND | MountFlags::RDONLY;
    rustix::mount::mount_remount(at("proc/sys"), read_only, "").expect("read-only proc/sys");
    mount("sysfs", at("sys"), "sysfs", MountFlags::RDONLY, no_options).expect("sys");
    mount(
        "tmpfs",
        at("sys/module"),
        "tmpfs",
        MountFlags::RDONLY,
        no_options,
    )
    .expect("mask in sys");
    rustix::process::chdir(root).expect("chdir");
    rustix::process::pivot_root(".", ".").expect("pivot_root");
    rustix::mount::unmount(".", UnmountFlags::DETACH).expect("umount of the old root");
}

/// Runs `attempts` as root of a user namespace of its own, with pid, network and ipc namespaces that belong to it, on the tree.
fn as_workload(attempts: fn(&mut Report, &OwnedFd)) -> Report {
    let scratch = Scratch::new("locks");
    let report = in_own_mounts(|| {
        // From before the tree: where the maps of the host's processes are written.
        let host_proc = File::open("/proc").expect("/proc");
        build_tree(&scratch);
        let spare = tmpfs();
        let (report, mut told) = std::io::pipe().expect("pipe");
        let (mut ready, mut unshared) = std::io::pipe().expect("pipe");
        let (mut go, mut mapped) = std::io::pipe().expect("pipe");
        // Other tests' threads may be in the midst of something; the child uses nothing of theirs but the allocator, which the
        // C library makes usable again.
        match fork().expect("fork") {
            Fork::Child => {
                drop((report, ready, mapped));
                let status = match play(&mut unshared, &mut go, attempts, &spare) {
                    Ok(report) => told.write_all(&encode(&report)).map_or(2, |()| 0),
                    Err(errno) => told
                        .write_all(&encode(&Report::from([("set-up".into(), Err(errno))])))
                        .map_or(2, |()| 0),
                };
                exit_now(status)
            }
            Fork::Parent(pid) => {
                drop((told, unshared, go));
                ready
                    .read_exact(&mut [0])
                    .expect("the child has its namespaces");
                for map in ["uid_map", "gid_map"] {
                    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
                    let file = rustix::fs::openat(
                        &host_proc,
                        format!("{pid}/{map}"),
                        flags,
                        Mode::empty(),
                    )
                    .expect(map);
                    let line = format!("0 {MAPPED_ROOT} 65536");
                    rustix::io::write(&file, line.as_bytes()).expect(map);
                }
                mapped.write_all(b"m").expect("the child waits");
                let mut text = String::new();
                (&report).read_to_string(&mut text).expect("report");
                let child = rustix::process::Pid::from_raw(pid);
                rustix::process::waitpid(child, rustix::process::WaitOptions::empty())
                    .expect("waitpid");
                decode(&text)
            }
        }
    });
    assert!(!report.contains_key("set-up"), "{report:?}");
    report
}

/// The process between: its child is the first in the pid namespace.
fn play(
    unshared: &mut impl Write,
    go: &mut impl Read,
    attempts: fn(&mut Report, &OwnedFd),
    spare: &OwnedFd,
) -> rustix::io::Result<Report> {
    let broken = |_| Errno::PIPE;
    unshare(NEW_NAMESPACES)?;
    unshared.write_all(b"u").map_err(broken)?;
    go.read_exact(&mut [0]).map_err(broken)?;
    let (mut report, mut told) = std::io::pipe().map_err(broken)?;
    match fork().map_err(broken)? {
        Fork::Child => {
            let mut report = Report::new();
            // SAFETY: numbers only; the other threads of the test are not in this process.
            let ids = unsafe { libc::setresgid(0, 0, 0) | libc::setresuid(0, 0, 0) };
            report.insert(
                "ids".into(),
                if ids == 0 { Ok(()) } else { Err(last_error()) },
            );
            report.insert("unshare of mounts".into(), unshare(libc::CLONE_NEWNS));
            attempts(&mut report, spare);
            let told = told.write_all(&encode(&report));
            exit_now(i32::from(told.is_err()))
        }
        Fork::Parent(pid) => {
            drop(told);
            let mut text = String::new();
            report.read_to_string(&mut text).map_err(broken)?;
            rustix::process::waitpid(
                rustix::process::Pid::from_raw(pid),
                rustix::process::WaitOptions::empty(),
            )?;
            Ok(decode(&text))
        }
    }
}

fn encode(report: &Report) -> Vec<u8> {
    let line = |(what, outcome): (&String, &Outcome)| {
        format!(
            "{} {what}\n",
            outcome
                .as_ref()
                .map_or_else(|errno| errno.raw_os_error(), |()| 0)
        )
    };
    report.iter().map(line).collect::<String>().into_bytes()
}

fn decode(text: &str) -> Report {
    let entry = |line: &str| {
        let (errno, what) = line.split_once(' ').expect("line of a report");
        let errno = errno.parse().expect("number");
        (
            what.to_owned(),
            if errno == 0 {
                Ok(())
            } else {
                Err(Errno::from_raw_os_error(errno))
            },
        )
    };
    text.lines().map(entry).collect()
}

fn tmpfs() -> OwnedFd {
    fresh("tmpfs", &[]).expect("tmpfs")
}

/// A file system mounted anew by the newer calls, attached nowhere.
fn fresh(kind: &str, options: &[(&str, &str)]) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in options {
        rustix::mount::fsconfig_set_string(&context, *key, *value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    rustix::mount::fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

fn clone(path: &str, flags: OpenTreeFlags) -> rustix::io::Result<OwnedFd> {
    rustix::mount::open_tree(
        rustix::fs::CWD,
        path,
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | flags,
    )
}

/// The attacks on a mask, each under the name `prefix` gives it.
fn attack(report: &mut Report, prefix: &str) {
    let mut tried = |what: &str, outcome: Outcome| {
        report.insert(format!("{prefix}{what}"), outcome);
    };
    let detach = UnmountFlags::DETACH;
    let none = None::<&std::ffi::CStr>;
    tried(
        "umount of a mask",
        rustix::mount::unmount("/proc/irq", detach),
    );
    tried("umount of /proc", rustix::mount::unmount("/proc", detach));
    tried(
        "move of a mask",
        rustix::mount::mount_move("/proc/irq", "/mnt"),
    );
    tried(
        "remount of /proc/sys",
        rustix::mount::mount_remount("/proc/sys", MountFlags::BIND, ""),
    );
    tried(
        "remount of /sys",
        rustix::mount::mount_remount("/sys", MountFlags::BIND, ""),
    );
    tried(
        "bind of /proc without what is on it",
        rustix::mount::mount_bind("/proc", "/mnt"),
    );
    tried(
        "clone of /proc without what is on it",
        clone("/proc", OpenTreeFlags::empty()).map(drop),
    );
    tried(
        "proc anew",
        mount("proc", "/mnt", "proc", MountFlags::empty(), none),
    );
    tried(
        "proc anew, pids only",
        mount("proc", "/mnt", "proc", MountFlags::empty(), c"subset=pid"),
    );
    tried("proc anew, newer calls", fresh("proc", &[]).map(drop));
    tried(
        "proc anew, newer calls, pids only",
        fresh("proc", &[("subset", "pid")]).map(drop),
    );
    tried(
        "sysfs anew",
        mount("sysfs", "/mnt", "sysfs", MountFlags::empty(), none),
    );
    tried("sysfs anew, newer calls", fresh("sysfs", &[]).map(drop));
}

/// What the kernel must say to [`attack`].
fn refused(prefix: &str) -> Report {
    [
        ("umount of a mask", Errno::INVAL),
        ("umount of /proc", Errno::INVAL),
        ("move of a mask", Errno::INVAL),
        ("remount of /proc/sys", Errno::PERM),
        ("remount of /sys", Errno::PERM),
        ("bind of /proc without what is on it", Errno::INVAL),
        ("clone of /proc without what is on it", Errno::INVAL),
        ("proc anew", Errno::PERM),
        ("proc anew, pids only", Errno::PERM),
        ("proc anew, newer calls", Errno::PERM),
        ("proc anew, newer calls, pids only", Errno::PERM),
        ("sysfs anew", Errno::PERM),
        ("sysfs anew, newer calls", Errno::PERM),
    ]
    .into_iter()
    .map(|(what, errno)| (format!("{prefix}{what}"), Err(errno)))
    .collect()
}

fn set_up() -> Report {
    [("ids", Ok(())), ("unshare of mounts", Ok(()))]
        .into_iter()
        .map(|(what, outcome)| (what.to_owned(), outcome))
        .collect()
}

fn is_empty(path: &str) -> Outcome {
    let entries = std::fs::read_dir(path)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    if entries.count() == 0 {
        Ok(())
    } else {
        Err(Errno::NOTEMPTY)
    }
}

#[test]
fn no_mask_or_read_only_path_comes_off() {
    let report = as_workload(|report, _| attack(report, ""));
    let mut expected = set_up();
    expected.extend(refused(""));
    assert_eq!(report, expected);
}

#[test]
fn a_user_namespace_within_gets_no_further() {
    let report = as_workload(|report, _| {
        report.insert(
            "nested".into(),
            unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWNET),
        );
        attack(report, "nested: ");
    });
    let mut expected = set_up();
    expected.insert("nested".into(), Ok(()));
    expected.extend(refused("nested: "));
    assert_eq!(report, expected);
}

#[test]
fn a_copy_with_all_that_is_mounted_on_it_keeps_the_masks() {
    let report = as_workload(|report, _| {
        report.insert(
            "bind".into(),
            rustix::mount::mount_bind_recursive("/proc", "/mnt"),
        );
        report.insert("masked".into(), is_empty("/mnt/irq"));
        report.insert(
            "umount".into(),
            rustix::mount::unmount("/mnt/irq", UnmountFlags::DETACH),
        );
    });
    let mut expected = set_up();
    expected.extend([
        ("bind".into(), Ok(())),
        ("masked".into(), Ok(())),
        ("umount".into(), Err(Errno::INVAL)),
    ]);
    assert_eq!(report, expected);
}

#[test]
fn the_workload_may_mount_what_is_its_own() {
    let report = as_workload(|report, _| {
        let none = None::<&std::ffi::CStr>;
        report.insert(
            "tmpfs".into(),
            mount("tmpfs", "/mnt", "tmpfs", MountFlags::empty(), none),
        );
        report.insert(
            "umount".into(),
            rustix::mount::unmount("/mnt", UnmountFlags::empty()),
        );
    });
    let mut expected = set_up();
    expected.extend([("tmpfs".into(), Ok(())), ("umount".into(), Ok(()))]);
    assert_eq!(report, expected);
}

#[test]
fn what_is_attached_after_the_last_unshare_comes_off() {
    let report = as_workload(|report, spare| {
        report.insert(
            "attach".into(),
            attach(spare, std::path::Path::new("/sys/class")),
        );
        report.insert("masked".into(), is_empty("/sys/class"));
        report.insert(
            "umount".into(),
            rustix::mount::unmount("/sys/class", UnmountFlags::DETACH),
        );
        report.insert("unmasked".into(), is_empty("/sys/class"));
    });
    let mut expected = set_up();
    expected.extend([
        ("attach".into(), Ok(())),
        ("masked".into(), Ok(())),
        ("umount".into(), Ok(())),
        ("unmasked".into(), Err(Errno::NOTEMPTY)),
    ]);
    assert_eq!(report, expected);
}

#[test]
fn a_second_unshare_in_the_same_user_namespace_locks_nothing_made_before() {
    let report = as_workload(|report, _| {
        let none = None::<&std::ffi::CStr>;
        report.insert(
            "mask".into(),
            mount("tmpfs", "/sys/class", "tmpfs", MountFlags::RDONLY, none),
        );
        report.insert("unshare".into(), unshare(libc::CLONE_NEWNS));
        report.insert(
            "umount".into(),
            rustix::mount::unmount("/sys/class", UnmountFlags::empty()),
        );
    });
    let mut expected = set_up();
    expected.extend([
        ("mask".into(), Ok(())),
        ("unshare".into(), Ok(())),
        ("umount".into(), Ok(())),
    ]);
    assert_eq!(report, expected);
}

#[test]
fn pivoting_into_a_copy_of_everything_gets_no_further() {
    let report = as_workload(|report, _| {
        report.insert(
            "bind".into(),
            rustix::mount::mount_bind_recursive("/", "/mnt"),
        );
        report.insert("chdir".into(), rustix::process::chdir("/mnt"));
        report.insert("pivot".into(), rustix::process::pivot_root(".", "."));
        attack(report, "pivoted: ");
    });
    let mut expected = set_up();
    expected.extend(["bind", "chdir", "pivot"].map(|step| (step.to_owned(), Ok(()))));
    expected.extend(refused("pivoted: "));
    assert_eq!(report, expected);
}
