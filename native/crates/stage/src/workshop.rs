//! The workshop: a private tmpfs in the mount namespace that is being built, outside the container's root, with what mounts
//! are made from: a null device nobody else could have prepared, an empty directory, device nodes, mount points for layers.
//! It is taken away before the container's mounts are locked; binds made from it stay.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags};
use rustix::mount::{MoveMountFlags, UnmountFlags};
use sys::mounts::MountChange;

use crate::errors::{At, Result, Step};
use crate::sources::{clone_at, raw};
use crate::template::{WORKSHOP, new_tmpfs};

pub struct Workshop {
    directory: OwnedFd,
    /// Handed out so far, for names.
    made: u32,
    null: Option<OwnedFd>,
    empty: Option<OwnedFd>,
}

impl Workshop {
    /// Attaches it below the template. The caller's file system ids own what is made in it.
    pub fn open() -> Result<Workshop> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let place =
            rustix::fs::open(WORKSHOP, flags, Mode::empty()).at(Step::MountRoot, "workshop")?;
        Workshop::open_at(place.as_fd())
    }

    /// Attaches it over a directory. Then only what is made by descriptor works: no path leads into it for sure.
    pub fn open_at(place: BorrowedFd<'_>) -> Result<Workshop> {
        let open = || -> rustix::io::Result<OwnedFd> {
            let tmpfs = new_tmpfs(&[("mode", "0700")])?;
            let flags =
                MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
            rustix::mount::move_mount(&tmpfs, "", place, "", flags)?;
            Ok(tmpfs)
        };
        let directory = open().at(Step::MountRoot, "workshop")?;
        Ok(Workshop {
            directory,
            made: 0,
            null: None,
            empty: None,
        })
    }

    /// Takes it away with all that is mounted in it, where it stands below the template. Nothing may be left below the
    /// container's root.
    pub fn close(self) -> Result<()> {
        rustix::mount::unmount(WORKSHOP, UnmountFlags::DETACH).at(Step::MountRoot, "workshop")
    }

    fn next_name(&mut self) -> String {
        self.made += 1;
        self.made.to_string()
    }

    /// Attaches a detached mount; answers the path at which it stands.
    pub fn attach(&mut self, mount: &OwnedFd) -> rustix::io::Result<String> {
        let name = self.next_name();
        rustix::fs::mkdirat(&self.directory, &name, Mode::from_raw_mode(0o700))?;
        let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        rustix::mount::move_mount(mount, "", &self.directory, &name, flags)?;
        Ok(format!("{WORKSHOP}/{name}"))
    }

    /// A directory to mount on.
    pub fn mount_point(&mut self) -> rustix::io::Result<String> {
        let name = self.next_name();
        rustix::fs::mkdirat(&self.directory, &name, Mode::from_raw_mode(0o700))?;
        Ok(format!("{WORKSHOP}/{name}"))
    }

    /// A device node; answers its path and an O_PATH descriptor of it.
    pub fn node(
        &mut self,
        file_type: FileType,
        device: u64,
        mode: Mode,
    ) -> rustix::io::Result<(String, OwnedFd)> {
        let name = self.next_name();
        rustix::fs::mknodat(&self.directory, &name, file_type, mode, device)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let node = rustix::fs::openat(&self.directory, &name, flags, Mode::empty())?;
        Ok((format!("{WORKSHOP}/{name}"), node))
    }

    /// A bind of /dev/null, read-only, to cover a file with.
    pub fn null_mask(&mut self) -> rustix::io::Result<OwnedFd> {
        if self.null.is_none() {
            let null = rustix::fs::makedev(1, 3);
            self.null = Some(
                self.node(FileType::CharacterDevice, null, Mode::from_raw_mode(0o666))?
                    .1,
            );
        }
        clone_changed(
            self.null.as_ref(),
            libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC,
        )
    }

    /// A bind of an empty directory, read-only, to cover a directory with.
    pub fn empty_mask(&mut self) -> rustix::io::Result<OwnedFd> {
        if self.empty.is_none() {
            let name = self.next_name();
            rustix::fs::mkdirat(&self.directory, &name, Mode::from_raw_mode(0o555))?;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            self.empty = Some(rustix::fs::openat(
                &self.directory,
                &name,
                flags,
                Mode::empty(),
            )?);
        }
        let locked = libc::MOUNT_ATTR_RDONLY
            | libc::MOUNT_ATTR_NOSUID
            | libc::MOUNT_ATTR_NODEV
            | libc::MOUNT_ATTR_NOEXEC;
        clone_changed(self.empty.as_ref(), locked)
    }
}

fn clone_changed(source: Option<&OwnedFd>, set: u64) -> rustix::io::Result<OwnedFd> {
    let clone = clone_at(source.ok_or(rustix::io::Errno::NOENT)?.as_fd(), false)?;
    let change = MountChange {
        set,
        propagation: libc::MS_PRIVATE,
        ..MountChange::default()
    };
    sys::mounts::change(&clone, change, false).map_err(|error| raw(&error))?;
    Ok(clone)
}
