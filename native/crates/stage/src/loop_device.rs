//! Images of file systems: a loop device on the very file that was opened, which goes away with its mount.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use sys::loops::{self, AUTOCLEAR, DIRECT_IO, READ_ONLY};
use wire::plan::Loop;

use crate::errors::{At, Result, StageError, Step};
use crate::procfs::Procfs;
use crate::sources::{Opened, raw};

/// Major number of loop devices (devices.txt of the kernel).
const MAJOR: u32 = 7;
/// How often somebody else may be quicker.
const ATTEMPTS: usize = 64;

/// To be called where the host's /dev is seen.
pub fn attach(plan: &Loop, source: &Opened, procfs: &Procfs) -> Result<OwnedFd> {
    if source.file_type != FileType::RegularFile {
        return Err(StageError::new(
            Step::MountRoot,
            &source.path,
            "not a regular file, which a loop device needs",
        ));
    }
    let access = if plan.read_only {
        OFlags::RDONLY
    } else {
        OFlags::RDWR
    };
    let image = procfs
        .reopen(&source.descriptor, access)
        .at(Step::MountRoot, &source.path)?;
    let mut flags = AUTOCLEAR;
    if plan.read_only {
        flags |= READ_ONLY;
    }
    if plan.direct_io {
        flags |= DIRECT_IO;
    }
    let open = |path: &str| {
        rustix::fs::open(path, access | OFlags::CLOEXEC, Mode::empty())
            .at(Step::MountRoot, path)
            .map_err(|error| error.remedy("load the kernel's module loop"))
    };
    let control = open("/dev/loop-control")?;
    for _ in 0..ATTEMPTS {
        let number =
            loops::free_number(control.as_fd()).at(Step::MountRoot, "/dev/loop-control")?;
        let path = format!("/dev/loop{number}");
        let device = open(&path)?;
        let stat = rustix::fs::fstat(&device).at(Step::MountRoot, &path)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::BlockDevice
            || rustix::fs::major(stat.st_rdev) != MAJOR
        {
            return Err(StageError::new(Step::MountRoot, path, "not a loop device"));
        }
        match loops::configure(device.as_fd(), image.as_fd(), flags) {
            Ok(()) => return Ok(device),
            Err(error) if raw(&error) == Errno::BUSY => {}
            Err(error) => return Err(StageError::os(Step::MountRoot, &source.path, raw(&error))),
        }
    }
    Err(StageError::new(
        Step::MountRoot,
        &source.path,
        "others took every loop device that was free",
    ))
}
