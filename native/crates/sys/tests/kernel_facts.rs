//! What the two orders of mounting rest on: which forms of layers, id maps and file system contexts the running kernel takes.
//! Where kernels differ the test says from which version on, and holds on older ones that it is refused: an expectation that a
//! kernel outgrows shows up here before it does in a container. Measured on 6.1, 6.12 and 6.18; where in between the kernel
//! changed is what its documentation says, or else the later of the two.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

mod common;

use std::ffi::CString;
use std::fs;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use common::{
    MAPPED_ROOT, Scratch, UserNamespace, attach, beneath, clone_of, idmap, in_own_mounts,
    kernel_is, last_error,
};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, StatVfsMountFlags, Uid};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags};

type Result<T> = rustix::io::Result<T>;

/// Two lower layers, an upper and a work directory, with ids as they lie in an image.
struct Layers {
    scratch: Scratch,
}

impl Layers {
    fn new(name: &str) -> Self {
        let layers = Self {
            scratch: Scratch::new(name),
        };
        for layer in ["above", "below"] {
            let directory = layers.scratch.directory(layer);
            fs::write(directory.join(layer), layer).expect("file");
        }
        let owned = layers.scratch.0.join("below/owned");
        fs::write(&owned, "by user 1000").expect("file");
        std::os::unix::fs::chown(&owned, Some(1000), Some(1000)).expect("chown");
        for name in ["top/fs", "top/work", "point", "attached"] {
            layers.scratch.directory(name);
        }
        layers
    }

    fn path(&self, name: &str) -> PathBuf {
        self.scratch.0.join(name)
    }

    /// Clones with shifted ids, attached nowhere; unshifted ones where the file system is a tmpfs that can't do it.
    fn clones<'a>(&'a self, user_namespace: &UserNamespace) -> Clones<'a> {
        let clone = |name: &str| clone_of(&self.path(name));
        let (lower, top) = (vec![clone("above"), clone("below")], clone("top"));
        let on_tmpfs = rustix::fs::fstatfs(&top).expect("fstatfs").f_type == libc::TMPFS_MAGIC;
        let shifts = !on_tmpfs || kernel_is(6, 3);
        for mount in lower.iter().chain([&top]) {
            let expected = if shifts { Ok(()) } else { Err(Errno::INVAL) };
            assert_eq!(
                idmap(mount, &user_namespace.fd),
                expected,
                "idmap of a layer"
            );
        }
        Clones {
            layers: self,
            lower,
            top,
            root: if shifts { MAPPED_ROOT } else { 0 },
        }
    }
}

struct Clones<'a> {
    layers: &'a Layers,
    lower: Vec<OwnedFd>,
    /// Parent of upper and work directory: both must lie on one mount.
    top: OwnedFd,
    /// The host's id of the container's root.
    root: u32,
}

impl Clones<'_> {
    fn upper(&self) -> OwnedFd {
        beneath(&self.top, "fs").expect("upper")
    }

    fn work(&self) -> OwnedFd {
        beneath(&self.top, "work").expect("work")
    }

    /// Attaches them and answers their paths: lower ones, parent of upper and work.
    fn attach(&self) -> (Vec<String>, String) {
        let place = self.layers.path("attached");
        let attach = |mount: &OwnedFd, name: &str| {
            let point = place.join(name);
            fs::create_dir_all(&point).expect("mount point");
            attach(mount, &point).expect("attaching a layer");
            point.to_str().expect("path in UTF-8").to_owned()
        };
        let lower = self.lower.iter().enumerate();
        let lower = lower
            .map(|(number, mount)| attach(mount, &number.to_string()))
            .collect();
        (lower, attach(&self.top, "top"))
    }
}

/// Does something with the ids that the container's root has on the host, and all capabilities.
fn as_root_of<T>(clones: &Clones<'_>, body: impl FnOnce() -> T) -> T {
    let capabilities = rustix::thread::capabilities(None).expect("capget");
    let take_ids = |id: u32| {
        // SAFETY: both calls take a number and change the calling thread alone.
        unsafe {
            libc::setfsgid(id);
            libc::setfsuid(id);
        }
        rustix::thread::set_capabilities(None, capabilities).expect("capset");
    };
    take_ids(clones.root);
    let result = body();
    take_ids(0);
    result
}

fn context(kind: &str) -> OwnedFd {
    rustix::mount::fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC).expect(kind)
}

fn create(context: &OwnedFd) -> Result<OwnedFd> {
    rustix::mount::fsconfig_create(context)?;
    rustix::mount::fsmount(
        context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
}

fn overlay_of_descriptors(clones: &Clones<'_>) -> Result<OwnedFd> {
    let overlay = context("overlay");
    for layer in &clones.lower {
        rustix::mount::fsconfig_set_fd(&overlay, "lowerdir+", layer)?;
    }
    rustix::mount::fsconfig_set_fd(&overlay, "upperdir", clones.upper())?;
    rustix::mount::fsconfig_set_fd(&overlay, "workdir", clones.work())?;
    create(&overlay)
}

fn overlay_of_descriptor_names(clones: &Clones<'_>) -> Result<OwnedFd> {
    let overlay = context("overlay");
    let name = |fd: &OwnedFd| format!("/proc/thread-self/fd/{}", fd.as_raw_fd());
    for layer in &clones.lower {
        rustix::mount::fsconfig_set_string(&overlay, "lowerdir+", name(layer))?;
    }
    let (upper, work) = (clones.upper(), clones.work());
    rustix::mount::fsconfig_set_string(&overlay, "upperdir", name(&upper))?;
    rustix::mount::fsconfig_set_string(&overlay, "workdir", name(&work))?;
    create(&overlay)
}

fn overlay_of_attached(clones: &Clones<'_>) -> Result<OwnedFd> {
    let (lower, top) = clones.attach();
    let overlay = context("overlay");
    for layer in &lower {
        rustix::mount::fsconfig_set_string(&overlay, "lowerdir+", layer.as_str())?;
    }
    rustix::mount::fsconfig_set_string(&overlay, "upperdir", format!("{top}/fs"))?;
    rustix::mount::fsconfig_set_string(&overlay, "workdir", format!("{top}/work"))?;
    create(&overlay)
}

fn overlay_of_one_string(clones: &Clones<'_>) -> Result<OwnedFd> {
    let (lower, top) = clones.attach();
    let options = format!(
        "lowerdir={},upperdir={top}/fs,workdir={top}/work",
        lower.join(":")
    );
    let options = CString::new(options).expect("no NUL");
    let point = clones.layers.path("point");
    rustix::mount::mount(
        "overlay",
        &point,
        "overlay",
        MountFlags::NODEV,
        options.as_c_str(),
    )?;
    beneath(rustix::fs::CWD, point.to_str().expect("path in UTF-8"))
}

/// An overlay that a container can use: ids shifted in it, unshifted on the disk, copy-up and whiteout work.
fn assert_usable(overlay: &OwnedFd, clones: &Clones<'_>) {
    let writable = !rustix::fs::fstatvfs(overlay)
        .expect("statvfs")
        .f_flag
        .contains(StatVfsMountFlags::RDONLY);
    assert!(writable, "the overlay is read-only");
    let owner = |name: &str| {
        rustix::fs::statat(overlay, name, AtFlags::SYMLINK_NOFOLLOW)
            .expect(name)
            .st_uid
    };
    let on_disk =
        |name: &str| fs::symlink_metadata(clones.layers.path("top/fs").join(name)).expect(name);
    assert_eq!(owner("owned"), clones.root + 1000);

    as_root_of(clones, || {
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::openat(overlay, "new", flags, Mode::from_raw_mode(0o600)).expect("a new file");
        let (uid, gid) = (
            Uid::from_raw(clones.root + 5),
            Gid::from_raw(clones.root + 5),
        );
        rustix::fs::chownat(overlay, "owned", Some(uid), Some(gid), AtFlags::empty())
            .expect("copy-up and chown");
        rustix::fs::unlinkat(overlay, "above", AtFlags::empty()).expect("whiteout");
    });
    assert_eq!(on_disk("new").uid(), 0);
    assert_eq!(on_disk("owned").uid(), 5);
    let whiteout = on_disk("above");
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
}

/// Mounts in this form, and holds that the result is usable where it is expected at all.
fn assert_form(name: &str, works: bool, mount: fn(&Clones<'_>) -> Result<OwnedFd>) {
    let user_namespace = UserNamespace::new();
    let layers = Layers::new(name);
    in_own_mounts(|| {
        let clones = layers.clones(&user_namespace);
        let mounted = as_root_of(&clones, || mount(&clones));
        assert_eq!(mounted.is_ok(), works, "{mounted:?}");
        if let Ok(overlay) = mounted {
            assert_usable(&overlay, &clones);
        }
    });
}

#[test]
fn overlay_takes_descriptors_of_detached_layers_from_6_15() {
    assert_form("descriptors", kernel_is(6, 15), overlay_of_descriptors);
}

#[test]
fn overlay_takes_names_of_detached_layers_from_6_15() {
    assert_form("names", kernel_is(6, 15), overlay_of_descriptor_names);
}

#[test]
fn overlay_takes_attached_layers_one_by_one_from_6_8() {
    assert_form("attached", kernel_is(6, 8), overlay_of_attached);
}

#[test]
fn overlay_takes_attached_layers_in_one_string() {
    assert_form("string", true, overlay_of_one_string);
}

#[test]
fn the_layers_of_a_mounted_overlay_can_be_mounted_once_more_with_shifted_ids() {
    let user_namespace = UserNamespace::new();
    let layers = Layers::new("twice");
    in_own_mounts(|| {
        let path = |name: &str| {
            layers
                .path(name)
                .to_str()
                .expect("path in UTF-8")
                .to_owned()
        };
        let options = format!(
            "lowerdir={}:{},upperdir={},workdir={},index=off",
            path("above"),
            path("below"),
            path("top/fs"),
            path("top/work")
        );
        let options = CString::new(options).expect("no NUL");
        let first = layers.scratch.directory("first");
        rustix::mount::mount(
            "overlay",
            &first,
            "overlay",
            MountFlags::empty(),
            options.as_c_str(),
        )
        .expect("first");

        let clones = layers.clones(&user_namespace);
        let again = as_root_of(&clones, || overlay_of_one_string(&clones)).expect("second");
        assert_usable(&again, &clones);
        assert_eq!(
            fs::metadata(first.join("new"))
                .expect("seen in the first")
                .uid(),
            0
        );
    });
}

#[test]
fn an_overlay_mounted_with_ids_its_layers_do_not_map_is_read_only() {
    let user_namespace = UserNamespace::new();
    let layers = Layers::new("unmapped");
    in_own_mounts(|| {
        let clones = layers.clones(&user_namespace);
        if clones.root == 0 {
            // Nothing is shifted, so root is mapped.
            return;
        }
        let overlay = overlay_of_one_string(&clones).expect("mounts all the same");
        let flags = rustix::fs::fstatvfs(&overlay).expect("statvfs").f_flag;
        assert!(flags.contains(StatVfsMountFlags::RDONLY));
    });
}

fn new_tmpfs() -> OwnedFd {
    create(&context("tmpfs")).expect("tmpfs")
}

#[test]
fn a_tmpfs_can_have_shifted_ids_from_6_3() {
    let user_namespace = UserNamespace::new();
    let expected = if kernel_is(6, 3) {
        Ok(())
    } else {
        Err(Errno::INVAL)
    };
    assert_eq!(idmap(&new_tmpfs(), &user_namespace.fd), expected);
}

#[test]
fn a_mount_can_be_attached_to_a_detached_one_from_6_15() {
    let (tree, branch) = (new_tmpfs(), new_tmpfs());
    rustix::fs::mkdirat(&tree, "branch", Mode::from_raw_mode(0o755)).expect("mkdir");
    let attached = rustix::mount::move_mount(
        &branch,
        "",
        &tree,
        "branch",
        rustix::mount::MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    );
    let expected = if kernel_is(6, 15) {
        Ok(())
    } else {
        Err(Errno::INVAL)
    };
    assert_eq!(attached, expected);
}

#[test]
fn a_tree_is_cloned_and_changed_in_one_call_from_6_15() {
    /// Of <asm-generic/unistd.h>, the same on every architecture.
    const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_RDONLY,
        attr_clr: 0,
        propagation: 0,
        userns_fd: 0,
    };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC;
    // SAFETY: the path is a constant string; pointer and size describe `attributes`, which the kernel only reads.
    let result = unsafe {
        libc::syscall(
            SYS_OPEN_TREE_ATTR,
            libc::AT_FDCWD,
            c"/".as_ptr(),
            flags,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    let errno = last_error();
    if kernel_is(6, 15) {
        assert!(result >= 0, "{errno}");
        // SAFETY: a descriptor just made, that nobody else owns.
        drop(unsafe { OwnedFd::from_raw_fd(i32::try_from(result).expect("descriptor")) });
    } else {
        assert_eq!((result, errno), (-1, Errno::NOSYS));
    }
}

#[test]
fn proc_takes_the_descriptor_of_a_pid_namespace_from_6_18() {
    let namespace = fs::File::open(Path::new("/proc/self/ns/pid")).expect("ns/pid");
    let proc = context("proc");
    let set = rustix::mount::fsconfig_set_fd(&proc, "pidns", namespace);
    let expected = if kernel_is(6, 18) {
        Ok(())
    } else {
        Err(Errno::INVAL)
    };
    assert_eq!(set, expected);
}
