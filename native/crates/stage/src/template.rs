//! The template: a mount namespace with nothing in it but one empty read-only tmpfs, from which every container's mounts
//! start, so that no host path can be beneath them. Made once per keeper; the kernel's way of mounting is probed with it.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::Mode;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
};
use sys::clone::{ForkFlags, Forked};
use sys::mounts::MountChange;

use crate::errors::{At, Result, StageError, Step};
use crate::idmap::{self, IdMaps};
use crate::mountinfo;
use crate::packets;
use crate::procfs::Procfs;

/// How the layers of an overlay reach the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountOrder {
    /// As descriptors of mounts that are attached nowhere (Linux 6.15 and later).
    Detached,
    /// As paths of mounts attached below the template until the overlay stands.
    Attached,
}

impl MountOrder {
    pub fn name(self) -> &'static str {
        match self {
            MountOrder::Detached => "detached",
            MountOrder::Attached => "attached",
        }
    }
}

/// The directory of the template on which a stage mounts its workshop.
pub const WORKSHOP: &str = "/w";

pub struct Template {
    pub mount_namespace: OwnedFd,
    /// A user namespace with some map, to try out whether a mount can be idmapped.
    pub probe_user_namespace: OwnedFd,
    pub order: MountOrder,
}

impl Template {
    /// Makes it and waits for it. `order` overrides the probe.
    pub fn make(order: Option<MountOrder>) -> Result<Template> {
        let mut making = Making::begin()?;
        let made = making.finish();
        making.let_go();
        idmap::reap(&making.pidfd);
        made.map(|made| Template {
            order: order.unwrap_or(made.order),
            ..made
        })
    }
}

/// A template in the making, by a process of its own. That takes longer than anything else a keeper does at its start, so
/// the keeper goes on meanwhile. Dropping this ends the process; collecting it is the caller's business.
pub struct Making {
    procfs: Procfs,
    socket: Option<OwnedFd>,
    pid: i32,
    pidfd: OwnedFd,
}

impl Making {
    /// Needs a single-threaded caller with root's capabilities.
    pub fn begin() -> Result<Making> {
        let procfs = Procfs::pin(Step::MakeTemplate)?;
        let (ours, theirs) = packets::pair().at(Step::MakeTemplate, "socket pair")?;
        // SAFETY: the keeper and its stages have a single thread.
        match unsafe { sys::clone::fork(ForkFlags::empty(), None) }
            .at(Step::MakeTemplate, "process")?
        {
            Forked::Child => {
                drop(ours);
                // It may outlive what its parent closes: nobody shall wait for an end of file because of it.
                let kept = [theirs.as_raw_fd(), procfs.descriptor().as_raw_fd()];
                let _ = sys::process::close_all_but(&kept);
                maker(&procfs, &theirs);
                sys::process::exit_now(0)
            }
            Forked::Parent { pid, pidfd } => Ok(Making {
                procfs,
                socket: Some(ours),
                pid,
                pidfd,
            }),
        }
    }

    /// Waits until it is made.
    pub fn finish(&mut self) -> Result<Template> {
        let early = || StageError::new(Step::MakeTemplate, "process", "it ended early");
        let socket = self.socket.as_ref().ok_or_else(early)?;
        let (byte, mut descriptors) = answer(socket)?;
        let mount_namespace = descriptors.pop().ok_or_else(early)?;
        // Not collected yet, so as long as it lives the number is its own.
        if has_ended(&self.pidfd) {
            return Err(early());
        }
        // Any map will do; the kernel refuses to idmap with an empty one.
        let maps = IdMaps::parse("0 1 65534", "0 1 65534").unwrap_or_default();
        maps.write(&self.procfs, self.pid)?;
        let probe_user_namespace = self
            .procfs
            .namespace(&self.pid.to_string(), "user")
            .at(Step::MakeTemplate, "user namespace")?;
        Ok(Template {
            mount_namespace,
            probe_user_namespace,
            order: match byte {
                b'd' => MountOrder::Detached,
                _ => MountOrder::Attached,
            },
        })
    }

    fn let_go(&mut self) {
        self.socket = None;
    }
}

fn has_ended(pidfd: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    !matches!(
        rustix::event::poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&now)),
        Ok(0)
    )
}

/// One byte and what came with it, or the maker's failure.
fn answer(socket: &OwnedFd) -> Result<(u8, Vec<OwnedFd>)> {
    let mut buffer = [0u8; 5];
    let (length, descriptors) =
        packets::receive(socket, &mut buffer).at(Step::MakeTemplate, "process")?;
    match length {
        1 => Ok((buffer[0], descriptors)),
        5 => {
            let errno = i32::from_ne_bytes([buffer[1], buffer[2], buffer[3], buffer[4]]);
            let what = match buffer[0] {
                b'm' => "mount namespace with an empty tmpfs",
                _ => "user namespace",
            };
            Err(StageError::os(
                Step::MakeTemplate,
                what,
                Errno::from_raw_os_error(errno),
            ))
        }
        _ => Err(StageError::new(
            Step::MakeTemplate,
            "process",
            "it ended early",
        )),
    }
}

/// The process that becomes the template.
fn maker(procfs: &Procfs, socket: &OwnedFd) {
    let fail = |what: u8, errno: Errno| {
        let mut message = vec![what];
        message.extend_from_slice(&errno.raw_os_error().to_ne_bytes());
        let _ = packets::send(socket, &message, &[]);
    };
    let made = empty_mount_namespace(procfs).and_then(|()| procfs.namespace("self", "mnt"));
    let mounts = match made {
        Ok(mounts) => mounts,
        Err(errno) => return fail(b'm', errno),
    };
    let order = if detached_layers_work() { b'd' } else { b'a' };
    if let Err(error) = sys::namespaces::unshare(libc::CLONE_NEWUSER) {
        return fail(b'u', Errno::from_io_error(&error).unwrap_or(Errno::IO));
    }
    let _ = packets::send(socket, &[order], &[mounts.as_fd()]);
    // Until the other side has taken what it needs.
    let _ = packets::receive(socket, &mut [0]);
}

fn empty_mount_namespace(procfs: &Procfs) -> rustix::io::Result<()> {
    let failed = |error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    sys::namespaces::unshare(libc::CLONE_NEWNS).map_err(failed)?;
    // To the root of this namespace, which need not be the caller's: containerd may run in a plain directory by chroot(2).
    let own = procfs.namespace("self", "mnt")?;
    sys::namespaces::enter(own.as_fd(), libc::CLONE_NEWNS).map_err(failed)?;
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )?;
    let tmpfs = new_tmpfs(&[("mode", "0555"), ("size", "4k"), ("nr_inodes", "4")])?;
    rustix::fs::mkdirat(&tmpfs, &WORKSHOP[1..], Mode::from_raw_mode(0o700))?;
    let ro = libc::MOUNT_ATTR_RDONLY
        | libc::MOUNT_ATTR_NOSUID
        | libc::MOUNT_ATTR_NODEV
        | libc::MOUNT_ATTR_NOEXEC;
    change(
        &tmpfs,
        MountChange {
            set: ro,
            ..MountChange::default()
        },
    )?;
    if !root_is_initial_ramfs(procfs)? {
        rustix::mount::move_mount(
            &tmpfs,
            "",
            rustix::fs::CWD,
            "/",
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )?;
        rustix::process::fchdir(&tmpfs)?;
        // The old root ends up on top of the new one and is then taken away with all that is mounted below it.
        rustix::process::pivot_root(".", ".")?;
        return rustix::mount::unmount(".", UnmountFlags::DETACH);
    }
    // The initial ramfs can't be pivoted away: everything on it goes, and the tmpfs covers it for good.
    unmount_all_but_root(procfs)?;
    rustix::mount::move_mount(
        &tmpfs,
        "",
        rustix::fs::CWD,
        "/",
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    rustix::process::fchdir(&tmpfs)?;
    rustix::process::chroot(".")
}

/// True where "/" is the kernel's own rootfs, which has no parent mount.
fn root_is_initial_ramfs(procfs: &Procfs) -> rustix::io::Result<bool> {
    Ok(mountinfo::parse(&procfs.read("self/mountinfo")?)
        .iter()
        .any(|line| line.point == "/" && line.fs_type == "rootfs"))
}

fn unmount_all_but_root(procfs: &Procfs) -> rustix::io::Result<()> {
    let mounts = mountinfo::parse(&procfs.read("self/mountinfo")?);
    for line in mounts.iter().rev().filter(|line| line.point != "/") {
        match rustix::mount::unmount(&line.point, UnmountFlags::DETACH) {
            // Gone already with what it was mounted on.
            Ok(()) | Err(Errno::INVAL | Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// A tmpfs that is attached nowhere.
pub fn new_tmpfs(options: &[(&str, &str)]) -> rustix::io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    rustix::mount::fsconfig_set_string(&context, "source", "tmpfs")?;
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

fn change(mount: &OwnedFd, change: MountChange<'_>) -> rustix::io::Result<()> {
    sys::mounts::change(mount, change, false)
        .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Tries an overlay over two mounts that are attached nowhere.
fn detached_layers_work() -> bool {
    let attempt = || -> rustix::io::Result<()> {
        let context = rustix::mount::fsopen("overlay", FsOpenFlags::FSOPEN_CLOEXEC)?;
        // Held until the overlay stands: closing the descriptor of a detached mount takes the mount apart.
        let layers = [new_tmpfs(&[("size", "4k")])?, new_tmpfs(&[("size", "4k")])?];
        for layer in &layers {
            rustix::mount::fsconfig_set_fd(&context, "lowerdir+", layer)?;
        }
        rustix::mount::fsconfig_create(&context)
    };
    attempt().is_ok()
}
