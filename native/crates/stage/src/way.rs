//! A way for the container's root to files of the host: where a directory on it is closed to others, an empty directory of the
//! container's stands in its place, with nothing but the way on. Only for a copy of the host's mounts that is thrown away.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::MoveMountFlags;

use crate::errors::{At, Result, StageError, Step};
use crate::idmap::IdMaps;
use crate::template::new_tmpfs;

const OPEN: Mode = Mode::from_raw_mode(0o755);

pub struct Way<'a> {
    maps: &'a IdMaps,
    /// Device numbers of the directories that stand in for closed ones.
    stand_ins: Vec<u64>,
}

impl<'a> Way<'a> {
    /// For the root of these maps, as whom the caller makes files.
    pub fn new(maps: &'a IdMaps) -> Way<'a> {
        Way {
            maps,
            stand_ins: Vec::new(),
        }
    }

    /// Has `mount` stand at `path` (as the kernel names it), and lets the container's root come there. A path that is open all
    /// along is left as it is.
    pub fn lead(&mut self, path: &str, mount: &OwnedFd) -> Result<()> {
        let (above, name) = path
            .rsplit_once('/')
            .filter(|(_, name)| !name.is_empty())
            .ok_or_else(|| StageError::new(Step::RunHook, path, "not a path below /"))?;
        let failed = |errno| StageError::os(Step::RunHook, path, errno);
        let directory = self.walk(above).map_err(failed)?;
        if !self.is_stand_in(&directory).map_err(failed)? {
            return Ok(());
        }
        let stat = rustix::fs::fstat(mount).map_err(failed)?;
        let made = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => rustix::fs::mkdirat(&directory, name, OPEN),
            _ => rustix::fs::mknodat(&directory, name, FileType::RegularFile, OPEN, 0),
        };
        made.map_err(failed)?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(mount, "", &directory, name, flags).at(Step::RunHook, path)
    }

    /// The directory `path`, or what stands in for it.
    fn walk(&mut self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut here = rustix::fs::open("/", flags, Mode::empty())?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            if self.is_stand_in(&here)? {
                match rustix::fs::mkdirat(&here, name, OPEN) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            here = rustix::fs::openat(&here, name, flags, Mode::empty())?;
            if !self.lets_pass(&here)? {
                here = self.cover(&here)?;
            }
        }
        Ok(here)
    }

    fn is_stand_in(&self, directory: &OwnedFd) -> rustix::io::Result<bool> {
        Ok(self
            .stand_ins
            .contains(&rustix::fs::fstat(directory)?.st_dev))
    }

    /// By the permission bits; what an access list adds is not looked at.
    fn lets_pass(&self, directory: &OwnedFd) -> rustix::io::Result<bool> {
        let stat = rustix::fs::fstat(directory)?;
        let (uid, gid) = self.maps.root();
        let bit = if stat.st_uid == uid {
            0o100
        } else if stat.st_gid == gid {
            0o010
        } else {
            0o001
        };
        Ok(stat.st_mode & bit != 0)
    }

    fn cover(&mut self, directory: &OwnedFd) -> rustix::io::Result<OwnedFd> {
        let stand_in = new_tmpfs(&[("mode", "0755")])?;
        self.stand_ins.push(rustix::fs::fstat(&stand_in)?.st_dev);
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&stand_in, "", directory, "", flags)?;
        Ok(stand_in)
    }
}
