//! procfs through one pinned and checked descriptor: nothing mounted over a part of it is crossed, no link of it is followed
//! unless a function says so.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::errors::{At, Result, StageError, Step};

/// PROC_SUPER_MAGIC of <linux/magic.h>.
pub const PROC_MAGIC: u64 = 0x9fa0;
/// Inode of a procfs root (PROC_ROOT_INO in the kernel).
const ROOT_INODE: u64 = 1;
/// More than any file read here can hold.
const MAX_READ: usize = 1 << 20;

pub struct Procfs {
    root: OwnedFd,
}

/// `f_type` of a descriptor's file system, without its sign.
pub fn magic(fd: impl AsFd) -> rustix::io::Result<u64> {
    Ok(rustix::fs::fstatfs(fd)?.f_type as u64 & 0xffff_ffff)
}

impl Procfs {
    /// Pins /proc of the present mount namespace.
    pub fn pin(step: Step) -> Result<Procfs> {
        let root = rustix::fs::open(
            "/proc",
            OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .at(step, "/proc")?;
        let inode = rustix::fs::fstat(&root).at(step, "/proc")?.st_ino;
        if magic(&root).at(step, "/proc")? != PROC_MAGIC || inode != ROOT_INODE {
            return Err(StageError::new(step, "/proc", "not a procfs")
                .remedy("mount proc on /proc where containerd runs"));
        }
        Ok(Procfs { root })
    }

    /// What it is pinned by, for a process that closes everything else.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Opens `path` (relative) without leaving this procfs.
    pub fn open(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(
            &self.root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            resolve,
        )
    }

    pub fn read(&self, path: &str) -> rustix::io::Result<String> {
        let file = self.open(path, OFlags::RDONLY)?;
        read_all(&file)
    }

    /// Writes `value` by one write.
    pub fn write(&self, path: &str, value: &[u8]) -> rustix::io::Result<()> {
        let file = self.open(path, OFlags::WRONLY)?;
        match rustix::io::write(&file, value)? {
            written if written == value.len() => Ok(()),
            _ => Err(Errno::IO),
        }
    }

    /// The namespace `name` ("mnt", "user") of process `who` ("self" or a pid).
    pub fn namespace(&self, who: &str, name: &str) -> rustix::io::Result<OwnedFd> {
        let links = self.open(&format!("{who}/ns"), OFlags::PATH | OFlags::DIRECTORY)?;
        // A namespace link is a magic link, followed here by intention: in a verified procfs it can lead nowhere else.
        rustix::fs::openat(
            &links,
            name,
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        )
    }

    /// The text of a link ("self/fd/5", "12/ns/net").
    pub fn link(&self, path: &str) -> rustix::io::Result<Vec<u8>> {
        let (directory, name) = path.rsplit_once('/').ok_or(Errno::INVAL)?;
        let directory = self.open(directory, OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(rustix::fs::readlinkat(&directory, name, Vec::new())?.into_bytes())
    }

    /// Opens for real what an O_PATH descriptor stands for. The caller knows what it is: opening a device or FIFO has effects.
    pub fn reopen(&self, fd: impl AsFd, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let links = self.open("self/fd", OFlags::PATH | OFlags::DIRECTORY)?;
        let name = fd.as_fd().as_raw_fd().to_string();
        rustix::fs::openat(&links, &name, flags | OFlags::CLOEXEC, Mode::empty())
    }

    /// What the kernel calls the file behind one of the caller's own descriptors.
    pub fn path_of(&self, fd: impl AsFd) -> rustix::io::Result<Vec<u8>> {
        self.link(&format!("self/fd/{}", fd.as_fd().as_raw_fd()))
    }
}

/// Opens a path of the host, in the mount namespace the stage was started in.
pub fn open_host(path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC, Mode::empty())
}

fn read_all(file: &OwnedFd) -> rustix::io::Result<String> {
    let mut content = Vec::new();
    let mut buffer = vec![0u8; 16 << 10];
    loop {
        match rustix::io::read(file, &mut buffer) {
            Ok(0) => return Ok(String::from_utf8_lossy(&content).into_owned()),
            Ok(length) => content.extend_from_slice(&buffer[..length]),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        if content.len() > MAX_READ {
            return Err(Errno::FBIG);
        }
    }
}
