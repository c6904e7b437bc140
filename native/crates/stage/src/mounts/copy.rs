//! Copies into a fresh tmpfs: what an image has at a tmpfs's place (tmpcopyup), and small configuration from file systems that
//! can't be idmapped. Nothing is followed, everything is bounded.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use crate::errors::{Result, StageError, Step};
use crate::idmap::IdMaps;
use crate::procfs::Procfs;
use crate::sources::{Opened, clone_at};
use crate::template::new_tmpfs;
use crate::workshop::Workshop;

/// Bounds of a copy up; the bytes are bounded by the tmpfs itself.
const MAX_UP_ENTRIES: u64 = 1 << 17;
/// Entries of a configuration copy (plan.proto, Copy).
const MAX_COPY_ENTRIES: u64 = 1024;
const MAX_DEPTH: usize = 64;

/// Copies what stands in the directory `from` (an O_PATH descriptor) into the root of the tmpfs `to`.
pub fn up(from: &OwnedFd, to: &OwnedFd, object: &str) -> Result<()> {
    let mut copier = Copier {
        bytes: u64::MAX,
        entries: MAX_UP_ENTRIES,
        owner: &|uid, gid| Some((uid, gid)),
        lenient: true,
    };
    let copy = |copier: &mut Copier<'_>| {
        let directory = open_directory(from.as_fd(), ".")?;
        let stat = rustix::fs::fstat(&directory)?;
        copier.copy_content(&directory, to.as_fd(), 0)?;
        copier.give(to.as_fd(), &stat)?;
        rustix::fs::chmodat(to, ".", mode_of(&stat), AtFlags::empty())
    };
    copy(&mut copier).map_err(|errno| {
        StageError::os(Step::Mount, object, errno).while_doing("copy up what is there")
    })
}

/// A mount of a copy of the source, file or directory.
pub fn mount(
    procfs: &Procfs,
    from: &Opened,
    max_bytes: u64,
    maps: &IdMaps,
    workshop: &mut Workshop,
) -> Result<OwnedFd> {
    let owner = |uid, gid| Some((maps.host_uid(uid)?, maps.host_gid(gid)?));
    let mut copier = Copier {
        bytes: max_bytes,
        entries: MAX_COPY_ENTRIES,
        owner: &owner,
        lenient: false,
    };
    let mut copy = || -> rustix::io::Result<OwnedFd> {
        let tmpfs = new_tmpfs(&[("mode", "0755")])?;
        let point = workshop.attach(&tmpfs)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let tmpfs = rustix::fs::open(&point, flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&from.descriptor)?;
        copier.copy_one(
            Entry::Opened(procfs, from.descriptor.as_fd()),
            tmpfs.as_fd(),
            "copy",
            &stat,
            0,
        )?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        clone_at(
            rustix::fs::openat(&tmpfs, "copy", flags, Mode::empty())?,
            false,
        )
    };
    copy().map_err(|errno| {
        let error = StageError::os(Step::Mount, &from.path, errno).while_doing("copy");
        match errno {
            Errno::FBIG => error.remedy(format!(
                "copies take at most {max_bytes} bytes in {MAX_COPY_ENTRIES} entries"
            )),
            Errno::OVERFLOW => {
                error.remedy("an owner of it has no id in the container; add it to extra_ids")
            }
            Errno::OPNOTSUPP => error.remedy("only files, directories and links are copied"),
            _ => error,
        }
    })
}

struct Copier<'a> {
    bytes: u64,
    entries: u64,
    owner: &'a dyn Fn(u32, u32) -> Option<(u32, u32)>,
    /// Leave out what is no file, directory or link, instead of failing.
    lenient: bool,
}

/// Where an entry's content is: by name in a directory, or behind a descriptor of its own.
enum Entry<'a> {
    Named(&'a OwnedFd, &'a std::ffi::CStr),
    Opened(&'a Procfs, BorrowedFd<'a>),
}

impl Entry<'_> {
    fn open(&self, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match self {
            Entry::Named(directory, name) => {
                rustix::fs::openat(directory, *name, flags, Mode::empty())
            }
            Entry::Opened(_, descriptor) if flags.contains(OFlags::DIRECTORY) => {
                rustix::fs::openat(descriptor, ".", flags, Mode::empty())
            }
            Entry::Opened(procfs, descriptor) => {
                procfs.reopen(*descriptor, flags.difference(OFlags::NOFOLLOW))
            }
        }
    }
}

impl Copier<'_> {
    fn copy_content(
        &mut self,
        from: &OwnedFd,
        to: BorrowedFd<'_>,
        depth: usize,
    ) -> rustix::io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(Errno::FBIG);
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let text = name.to_str().map_err(|_| Errno::ILSEQ)?;
            self.copy_one(Entry::Named(from, name), to, text, &stat, depth + 1)?;
        }
        Ok(())
    }

    fn copy_one(
        &mut self,
        from: Entry<'_>,
        to: BorrowedFd<'_>,
        name: &str,
        stat: &Stat,
        depth: usize,
    ) -> rustix::io::Result<()> {
        self.entries = self.entries.checked_sub(1).ok_or(Errno::FBIG)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o700))?;
                let target = open_directory(to, name)?;
                let source = from.open(OFlags::RDONLY | OFlags::DIRECTORY)?;
                self.copy_content(&source, target.as_fd(), depth)?;
                self.give(target.as_fd(), stat)?;
                rustix::fs::fchmod(&target, mode_of(stat))
            }
            FileType::RegularFile => {
                let flags = OFlags::WRONLY
                    | OFlags::CREATE
                    | OFlags::EXCL
                    | OFlags::NOFOLLOW
                    | OFlags::CLOEXEC;
                let target = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
                self.copy_bytes(&from.open(OFlags::RDONLY)?, &target)?;
                self.give(target.as_fd(), stat)?;
                rustix::fs::fchmod(&target, mode_of(stat))
            }
            FileType::Symlink => {
                let Entry::Named(directory, link) = from else {
                    return Err(Errno::OPNOTSUPP);
                };
                let text = rustix::fs::readlinkat(directory, link, Vec::new())?;
                rustix::fs::symlinkat(text.as_c_str(), to, name)?;
                let (uid, gid) = (self.owner)(stat.st_uid, stat.st_gid).ok_or(Errno::OVERFLOW)?;
                let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
                rustix::fs::chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
            }
            _ if self.lenient => Ok(()),
            _ => Err(Errno::OPNOTSUPP),
        }
    }

    fn copy_bytes(&mut self, from: &OwnedFd, to: &OwnedFd) -> rustix::io::Result<()> {
        let mut buffer = vec![0u8; 64 << 10];
        loop {
            let length = match rustix::io::read(from, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                Err(errno) => return Err(errno),
            };
            self.bytes = self.bytes.checked_sub(length as u64).ok_or(Errno::FBIG)?;
            let mut rest = &buffer[..length];
            while !rest.is_empty() {
                let written = rustix::io::write(to, rest)?;
                rest = &rest[written..];
            }
        }
    }

    /// Owner first, then mode: a change of owner clears set-id bits.
    fn give(&self, to: BorrowedFd<'_>, stat: &Stat) -> rustix::io::Result<()> {
        let (uid, gid) = (self.owner)(stat.st_uid, stat.st_gid).ok_or(Errno::OVERFLOW)?;
        let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
        rustix::fs::chownat(to, "", uid, gid, AtFlags::EMPTY_PATH)
    }
}

fn open_directory(at: BorrowedFd<'_>, name: &str) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(at, name, flags, Mode::empty())
}

fn mode_of(stat: &Stat) -> Mode {
    Mode::from_raw_mode(stat.st_mode & 0o7777)
}
