//! What tests that ask the kernel need: its version, a mount namespace of their own, a user namespace, a directory, and
//! mount_setattr(2), which rustix lacks.

#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, MoveMountFlags, OpenTreeFlags};

/// Host id that is 0 inside a [`UserNamespace`], which maps 65,536 ids.
pub const MAPPED_ROOT: u32 = 200_000;

/// Whether the running kernel is this version or later.
pub fn kernel_is(major: u32, minor: u32) -> bool {
    let release = rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned();
    let mut numbers = release
        .split(['.', '-', '+'])
        .map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// Runs `body` in a thread whose mount namespace is a private copy, which goes away with it.
pub fn in_own_mounts<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: a mount namespace changes neither memory nor descriptors of this process.
            let unshared = unsafe { libc::unshare(libc::CLONE_NEWNS) };
            assert_eq!(unshared, 0, "unshare needs root");
            rustix::mount::mount_change(
                "/",
                MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
            )
            .expect("private mounts");
            body()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A user namespace, kept by a process that waits for the end of its input.
pub struct UserNamespace {
    keeper: Child,
    pub fd: OwnedFd,
}

impl UserNamespace {
    pub fn new() -> Self {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo; read -r _"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // SAFETY: unshare is one system call, allowed between fork and exec.
        unsafe {
            command.pre_exec(|| match libc::unshare(libc::CLONE_NEWUSER) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        let mut keeper = command.spawn().expect("process in a new user namespace");
        let mut ready = [0];
        let output = keeper.stdout.as_mut().expect("pipe");
        output.read_exact(&mut ready).expect("the process runs");
        let process = PathBuf::from(format!("/proc/{}", keeper.id()));
        for map in ["uid_map", "gid_map"] {
            std::fs::write(process.join(map), format!("0 {MAPPED_ROOT} 65536")).expect(map);
        }
        let fd = std::fs::File::open(process.join("ns/user"))
            .expect("ns/user")
            .into();
        Self { keeper, fd }
    }
}

impl Drop for UserNamespace {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A directory below `TMPDIR`, gone with the value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(format!("brig-{name}-{process}-{number}"));
        std::fs::create_dir(&path).expect("directory for the test");
        Self(path)
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.0.join(name);
        std::fs::create_dir_all(&path).expect(name);
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// open_tree(2): a clone of the mount at `path` that is attached nowhere.
pub fn clone_of(path: &Path) -> OwnedFd {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    rustix::mount::open_tree(rustix::fs::CWD, path, flags).expect("open_tree")
}

pub fn attach(mount: &OwnedFd, path: &Path) -> rustix::io::Result<()> {
    rustix::mount::move_mount(
        mount,
        "",
        rustix::fs::CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )
}

/// The directory `name` beneath `mount`, as a descriptor for nothing but naming it.
pub fn beneath(mount: impl AsFd, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::openat(mount, name, flags, Mode::empty())
}

/// mount_setattr(2) with an id map.
pub fn idmap(mount: &OwnedFd, user_namespace: &OwnedFd) -> rustix::io::Result<()> {
    let attributes = libc::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: user_namespace.as_raw_fd() as u64,
    };
    // SAFETY: the path is a constant string; pointer and size describe `attributes`, which the kernel only reads.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            &raw const attributes,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(last_error())
    }
}

pub fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
