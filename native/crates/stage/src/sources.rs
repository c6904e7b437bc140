//! Sources outside the container's root: opened once, held as descriptors under the daemon's handles, reported as what the
//! kernel says they are. A plan names handles only.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::mount::OpenTreeFlags;
use sys::clone::{ForkFlags, Forked};
use sys::mounts::{MountChange, RawUserNamespace};
use wire::keeper::source::Kind;
use wire::keeper::{Source, SourceReport};

use crate::errors::{At, Result, StageError, Step};
use crate::idmap;
use crate::mountinfo::{self, MountLine};
use crate::packets;
use crate::procfs::{self, Procfs};

/// NSFS_MAGIC of <linux/magic.h>.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// Most sources of one request.
const MAX_SOURCES: usize = 4096;
const MAX_PATH: usize = 4096;

/// One opened source.
pub struct Opened {
    pub descriptor: OwnedFd,
    pub kind: Kind,
    /// As asked, for messages.
    pub path: String,
    pub file_type: FileType,
    /// st_rdev.
    pub device: u64,
}

/// The sources of one stage by handle.
#[derive(Default)]
pub struct Handles {
    opened: BTreeMap<u32, Opened>,
}

impl Handles {
    pub fn get(&self, handle: u32, step: Step) -> Result<&Opened> {
        self.opened.get(&handle).ok_or_else(|| {
            StageError::new(
                step,
                format!("handle {handle}"),
                "no source was opened under this handle",
            )
        })
    }

    pub fn all(&self) -> impl Iterator<Item = (u32, &Opened)> {
        self.opened.iter().map(|(handle, opened)| (*handle, opened))
    }

    /// Takes over a source that was opened and checked before.
    pub fn put(
        &mut self,
        handle: u32,
        kind: Kind,
        path: String,
        descriptor: OwnedFd,
    ) -> Option<()> {
        let stat = rustix::fs::fstat(&descriptor).ok()?;
        let file_type = FileType::from_raw_mode(stat.st_mode);
        self.opened.insert(
            handle,
            Opened {
                descriptor,
                kind,
                path,
                file_type,
                device: stat.st_rdev,
            },
        );
        Some(())
    }

    /// A handle that must be of one kind.
    pub fn of_kind(&self, handle: u32, kind: Kind, step: Step) -> Result<&Opened> {
        let opened = self.get(handle, step)?;
        if opened.kind != kind {
            let cause = format!("opened as {:?}, used as {kind:?}", opened.kind);
            return Err(StageError::new(step, &opened.path, cause));
        }
        Ok(opened)
    }

    /// Opens what is asked, in order. A source that can't be opened is told by its errno in the report.
    pub fn open(
        &mut self,
        sources: &[Source],
        procfs: &Procfs,
        probe_namespace: BorrowedFd<'_>,
    ) -> Result<Vec<SourceReport>> {
        if self.opened.len() + sources.len() > MAX_SOURCES {
            return Err(StageError::new(
                Step::OpenSource,
                "sources",
                format!("more than {MAX_SOURCES}"),
            ));
        }
        let mut reporter = Reporter {
            procfs,
            probe_namespace,
            mounts: None,
            idmappable: HashMap::new(),
        };
        let mut reports = Vec::with_capacity(sources.len());
        for source in sources {
            let (report, opened) = reporter.open(source)?;
            if let Some(opened) = opened
                && self.opened.insert(source.handle, opened).is_some()
            {
                let object = format!("handle {}", source.handle);
                return Err(StageError::new(Step::OpenSource, object, "used twice"));
            }
            reports.push(report);
        }
        Ok(reports)
    }
}

struct Reporter<'a> {
    procfs: &'a Procfs,
    probe_namespace: BorrowedFd<'a>,
    mounts: Option<Vec<MountLine>>,
    /// By mount id: what is true of a mount's root is true of all its directories.
    idmappable: HashMap<u64, bool>,
}

impl Reporter<'_> {
    fn open(&mut self, source: &Source) -> Result<(SourceReport, Option<Opened>)> {
        let mut report = SourceReport {
            handle: source.handle,
            ..SourceReport::default()
        };
        let kind = Kind::try_from(source.kind).unwrap_or(Kind::Unspecified);
        if source.handle == 0 || kind == Kind::Unspecified {
            return Err(StageError::new(
                Step::OpenSource,
                &source.path,
                "no handle or no known kind",
            ));
        }
        let failed = |mut report: SourceReport, errno: Errno| {
            report.errno = errno.raw_os_error();
            Ok((report, None))
        };
        if !source.path.starts_with('/') || source.path.contains('\0') {
            return failed(report, Errno::INVAL);
        }
        if source.path.len() >= MAX_PATH {
            return failed(report, Errno::NAMETOOLONG);
        }
        let descriptor = match procfs::open_host(&source.path, OFlags::PATH) {
            Ok(descriptor) => descriptor,
            Err(errno) => return failed(report, errno),
        };
        match self.describe(&mut report, &descriptor, source, kind) {
            Ok((file_type, device, replacement)) => {
                let descriptor = replacement.unwrap_or(descriptor);
                let opened = Opened {
                    descriptor,
                    kind,
                    path: source.path.clone(),
                    file_type,
                    device,
                };
                Ok((report, Some(opened)))
            }
            Err(errno) => failed(
                SourceReport {
                    handle: source.handle,
                    ..SourceReport::default()
                },
                errno,
            ),
        }
    }

    /// Fills the report; answers file type, device number and, for a namespace, the descriptor to use instead.
    fn describe(
        &mut self,
        report: &mut SourceReport,
        descriptor: &OwnedFd,
        source: &Source,
        kind: Kind,
    ) -> rustix::io::Result<(FileType, u64, Option<OwnedFd>)> {
        let flags = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
        let stat = rustix::fs::statx(descriptor, "", AtFlags::EMPTY_PATH, flags)?;
        let file_type = FileType::from_raw_mode(stat.stx_mode.into());
        report.canonical_path =
            String::from_utf8_lossy(&self.procfs.path_of(descriptor)?).into_owned();
        report.dev_major = stat.stx_dev_major;
        report.dev_minor = stat.stx_dev_minor;
        report.inode = stat.stx_ino;
        report.mode = stat.stx_mode.into();
        report.uid = stat.stx_uid;
        report.gid = stat.stx_gid;
        report.rdev_major = stat.stx_rdev_major;
        report.rdev_minor = stat.stx_rdev_minor;
        report.fs_magic = procfs::magic(descriptor)?;
        report.mount_id = stat.stx_mnt_id;
        if source.want_mount {
            self.add_mount(report);
        }
        let device = rustix::fs::makedev(stat.stx_rdev_major, stat.stx_rdev_minor);
        let mut replacement = None;
        match kind {
            Kind::Namespace => replacement = Some(self.add_namespace(report, descriptor)?),
            Kind::Bind => {
                report.can_idmap = self.can_idmap(stat.stx_mnt_id, descriptor);
                report.can_idmap_tree = report.can_idmap
                    && (!report.has_mounts_below || self.try_to_idmap(descriptor, true).is_some());
            }
            Kind::Unspecified | Kind::Device | Kind::Executable | Kind::Socket => {}
        }
        Ok((file_type, device, replacement))
    }

    fn add_mount(&mut self, report: &mut SourceReport) {
        let procfs = self.procfs;
        let mounts = self.mounts.get_or_insert_with(|| {
            procfs
                .read("self/mountinfo")
                .map(|text| mountinfo::parse(&text))
                .unwrap_or_default()
        });
        if let Some(line) = mounts.iter().find(|line| line.id == report.mount_id) {
            report.fs_type.clone_from(&line.fs_type);
            report.mount_source.clone_from(&line.source);
            report.super_options.clone_from(&line.super_options);
            report.mount_readonly = line.readonly;
            report.mount_point.clone_from(&line.point);
            report.mount_root.clone_from(&line.root);
        }
        let below = format!("{}/", report.canonical_path.trim_end_matches('/'));
        report.has_mounts_below = mounts.iter().any(|line| line.point.starts_with(&below));
    }

    fn add_namespace(
        &self,
        report: &mut SourceReport,
        descriptor: &OwnedFd,
    ) -> rustix::io::Result<OwnedFd> {
        if report.fs_magic != NSFS_MAGIC {
            return Err(Errno::INVAL);
        }
        // Only now, when it is known to be a namespace, may it be opened for real.
        let namespace = self.procfs.reopen(descriptor, OFlags::RDONLY)?;
        let kind = sys::namespaces::kind(namespace.as_fd()).map_err(|error| raw(&error))?;
        if let Some(name) = link_name(kind) {
            report.own_namespace = same_file(&namespace, &self.procfs.namespace("self", name)?)?;
        }
        let own_user = self.procfs.namespace("self", "user")?;
        report.owned_by_initial_user_namespace = match sys::namespaces::owner(namespace.as_fd()) {
            Ok(owner) => same_file(&owner, &own_user)?,
            // Beyond the caller's own user namespace: owned by a parent of it.
            Err(_) => false,
        };
        if kind == libc::CLONE_NEWUSER {
            (report.uid_map, report.gid_map) =
                maps_of(self.procfs, namespace.as_fd(), report.own_namespace)?;
        }
        Ok(namespace)
    }

    fn can_idmap(&mut self, mount_id: u64, descriptor: &OwnedFd) -> bool {
        if let Some(known) = self.idmappable.get(&mount_id) {
            return *known;
        }
        let possible = self.try_to_idmap(descriptor, false).is_some();
        self.idmappable.insert(mount_id, possible);
        possible
    }

    fn try_to_idmap(&self, descriptor: &OwnedFd, recursive: bool) -> Option<()> {
        let clone = clone_at(descriptor, recursive).ok()?;
        let change = MountChange {
            idmap: Some(RawUserNamespace(self.probe_namespace)),
            ..MountChange::default()
        };
        sys::mounts::change(&clone, change, recursive).ok()
    }
}

/// The name of a namespace kind beneath /proc/<pid>/ns.
fn link_name(kind: i32) -> Option<&'static str> {
    Some(match kind {
        libc::CLONE_NEWNS => "mnt",
        libc::CLONE_NEWPID => "pid",
        libc::CLONE_NEWNET => "net",
        libc::CLONE_NEWIPC => "ipc",
        libc::CLONE_NEWUTS => "uts",
        libc::CLONE_NEWCGROUP => "cgroup",
        libc::CLONE_NEWUSER => "user",
        crate::namespaces::CLONE_NEWTIME => "time",
        _ => return None,
    })
}

pub fn same_file(one: impl AsFd, other: impl AsFd) -> rustix::io::Result<bool> {
    let (one, other) = (rustix::fs::fstat(one)?, rustix::fs::fstat(other)?);
    Ok(one.st_dev == other.st_dev && one.st_ino == other.st_ino)
}

/// uid_map and gid_map of a user namespace, in the caller's ids, as a process in it shows them.
pub fn maps_of(
    procfs: &Procfs,
    namespace: BorrowedFd<'_>,
    own: bool,
) -> rustix::io::Result<(String, String)> {
    let read = |who: &str| {
        Ok((
            procfs.read(&format!("{who}/uid_map"))?,
            procfs.read(&format!("{who}/gid_map"))?,
        ))
    };
    if own {
        return read("self");
    }
    let (ours, theirs) = packets::pair()?;
    // SAFETY: a stage has a single thread.
    match unsafe { sys::clone::fork(ForkFlags::empty(), None) }.map_err(|error| raw(&error))? {
        Forked::Child => {
            drop(ours);
            let _ = sys::credentials::set_dumpable(false);
            let errno = match sys::namespaces::enter(namespace, libc::CLONE_NEWUSER) {
                Ok(()) => 0,
                Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
            };
            let _ = packets::send(&theirs, &errno.to_ne_bytes(), &[]);
            let _ = packets::receive(&theirs, &mut [0]);
            sys::process::exit_now(0)
        }
        Forked::Parent { pid, pidfd } => {
            drop(theirs);
            let mut answer = [0u8; 4];
            let result = match packets::receive(&ours, &mut answer) {
                Ok((4, _)) => match i32::from_ne_bytes(answer) {
                    0 => read(&pid.to_string()),
                    errno => Err(Errno::from_raw_os_error(errno)),
                },
                Ok(_) => Err(Errno::PIPE),
                Err(errno) => Err(errno),
            };
            drop(ours);
            idmap::reap(&pidfd);
            result
        }
    }
}

/// The errno of an I/O error that came from a system call.
pub fn raw(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// A clone of the mount (with all below it if `recursive`) at a source, attached nowhere.
pub fn clone_mount(source: &Opened, recursive: bool) -> Result<OwnedFd> {
    clone_at(&source.descriptor, recursive).at(Step::CloneSource, &source.path)
}

pub fn clone_at(descriptor: impl AsFd, recursive: bool) -> rustix::io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    if recursive {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    rustix::mount::open_tree(descriptor, "", flags)
}
