//! The container's terminal: opened through the devpts that the container uses, whose file system type is checked.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, OFlags};
use rustix::mount::MoveMountFlags;
use rustix::process::{Gid, Uid};
use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;
use sys::mounts::MountChange;
use wire::plan::Process;

use crate::errors::{At, Result, StageError, Step};
use crate::paths::{self, Target};
use crate::procfs::{self, Procfs};
use crate::sources::{clone_at, raw};

/// DEVPTS_SUPER_MAGIC of <linux/magic.h>.
const DEVPTS_MAGIC: u64 = 0x1cd1;
const PTMX: &str = "/dev/pts/ptmx";

pub struct Terminal {
    pub master: OwnedFd,
    pub slave: OwnedFd,
}

/// Opens a new terminal beneath `root`, its slave owned by `uid` (as the caller's user namespace counts).
pub fn open(procfs: &Procfs, root: impl AsFd, process: &Process, uid: u32) -> Result<Terminal> {
    let failed = |errno| StageError::os(Step::OpenTerminal, PTMX, errno);
    let open = || -> rustix::io::Result<Terminal> {
        let place = paths::open_plain(&root, PTMX, OFlags::PATH | OFlags::NOFOLLOW)?;
        let stat = rustix::fs::fstat(&place)?;
        if procfs::magic(&place)? != DEVPTS_MAGIC || stat.st_rdev != rustix::fs::makedev(5, 2) {
            return Err(rustix::io::Errno::NOTTY);
        }
        let master = procfs.reopen(&place, OFlags::RDWR | OFlags::NOCTTY)?;
        rustix::pty::unlockpt(&master)?;
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let slave = rustix::pty::ioctl_tiocgptpeer(&master, flags)?;
        Ok(Terminal { master, slave })
    };
    let terminal =
        open().map_err(|errno| failed(errno).remedy("mount a devpts of its own on /dev/pts"))?;
    rustix::fs::fchown(&terminal.slave, Some(Uid::from_raw(uid)), None::<Gid>).map_err(failed)?;
    set_size(&terminal.master, process).map_err(failed)?;
    Ok(terminal)
}

fn set_size(master: &OwnedFd, process: &Process) -> rustix::io::Result<()> {
    if process.console_height == 0 && process.console_width == 0 {
        return Ok(());
    }
    let size = Winsize {
        ws_row: process.console_height.min(u16::MAX.into()) as u16,
        ws_col: process.console_width.min(u16::MAX.into()) as u16,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    rustix::termios::tcsetwinsize(master, size)
}

/// Binds the slave over /dev/console, as init expects it.
pub fn bind_console(root: &OwnedFd, terminal: &Terminal) -> Result<()> {
    let bind = || -> rustix::io::Result<()> {
        let target = paths::open_or_make(root, "/dev/console", Target::File)?;
        let slave = rustix::fs::fstat(&terminal.slave)?;
        let number = rustix::fs::minor(slave.st_rdev);
        let place = paths::open_plain(
            root,
            &format!("/dev/pts/{number}"),
            OFlags::PATH | OFlags::NOFOLLOW,
        )?;
        let found = rustix::fs::statat(&place, "", AtFlags::EMPTY_PATH)?;
        if found.st_dev != slave.st_dev || found.st_ino != slave.st_ino {
            return Err(rustix::io::Errno::STALE);
        }
        let clone = clone_at(&place, false)?;
        let set = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC;
        let change = MountChange {
            set,
            propagation: libc::MS_PRIVATE,
            ..MountChange::default()
        };
        sys::mounts::change(&clone, change, false).map_err(|error| raw(&error))?;
        let flags =
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
        rustix::mount::move_mount(&clone, "", &target, "", flags)
    };
    bind().at(Step::OpenTerminal, "/dev/console")
}
