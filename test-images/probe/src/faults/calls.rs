//! The system calls that are asked about: what each of them needs of the host, and which path it is about.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// What a call takes of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Room in a file system: new names and bytes.
    Space,
    /// A descriptor.
    Descriptor,
    /// A process or thread.
    Process,
    /// A disk's answer.
    Sync,
}

impl Class {
    pub fn named(name: &str) -> Option<Class> {
        match name {
            "space" => Some(Class::Space),
            "descriptor" => Some(Class::Descriptor),
            "process" => Some(Class::Process),
            "sync" => Some(Class::Sync),
            _ => None,
        }
    }
}

/// Where a call's path is found.
#[derive(Clone, Copy)]
enum Place {
    /// In this argument.
    Path(usize),
    /// In this argument, from the directory in the other.
    At(usize, usize),
    /// The file of the descriptor in this argument.
    Descriptor(usize),
    Nowhere,
}

pub struct Call {
    pub number: libc::c_long,
    pub name: &'static str,
    place: Place,
    classes: &'static [Class],
    /// Which argument has the flags of open(2): it takes room only where it makes a file.
    flags: Option<usize>,
}

const fn call(
    number: libc::c_long,
    name: &'static str,
    place: Place,
    classes: &'static [Class],
) -> Call {
    Call {
        number,
        name,
        place,
        classes,
        flags: None,
    }
}

const SPACE: &[Class] = &[Class::Space];
const DESCRIPTOR: &[Class] = &[Class::Descriptor];
const PROCESS: &[Class] = &[Class::Process];
const SYNC: &[Class] = &[Class::Sync];

pub const CALLS: &[Call] = &[
    Call {
        flags: Some(2),
        ..call(
            libc::SYS_openat,
            "openat",
            Place::At(0, 1),
            &[Class::Space, Class::Descriptor],
        )
    },
    call(libc::SYS_openat2, "openat2", Place::At(0, 1), DESCRIPTOR),
    call(libc::SYS_write, "write", Place::Descriptor(0), SPACE),
    call(libc::SYS_pwrite64, "pwrite64", Place::Descriptor(0), SPACE),
    call(libc::SYS_writev, "writev", Place::Descriptor(0), SPACE),
    call(
        libc::SYS_ftruncate,
        "ftruncate",
        Place::Descriptor(0),
        SPACE,
    ),
    call(
        libc::SYS_fallocate,
        "fallocate",
        Place::Descriptor(0),
        SPACE,
    ),
    call(libc::SYS_mkdirat, "mkdirat", Place::At(0, 1), SPACE),
    call(libc::SYS_mknodat, "mknodat", Place::At(0, 1), SPACE),
    call(libc::SYS_symlinkat, "symlinkat", Place::At(1, 2), SPACE),
    call(libc::SYS_linkat, "linkat", Place::At(2, 3), SPACE),
    call(libc::SYS_renameat, "renameat", Place::At(2, 3), SPACE),
    call(libc::SYS_renameat2, "renameat2", Place::At(2, 3), SPACE),
    #[cfg(target_arch = "x86_64")]
    Call {
        flags: Some(1),
        ..call(
            libc::SYS_open,
            "open",
            Place::Path(0),
            &[Class::Space, Class::Descriptor],
        )
    },
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mkdir, "mkdir", Place::Path(0), SPACE),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_mknod, "mknod", Place::Path(0), SPACE),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_symlink, "symlink", Place::Path(1), SPACE),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_link, "link", Place::Path(1), SPACE),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_rename, "rename", Place::Path(1), SPACE),
    // The path stands behind the address family.
    call(libc::SYS_bind, "bind", Place::Path(1), SPACE),
    call(libc::SYS_fsync, "fsync", Place::Descriptor(0), SYNC),
    call(libc::SYS_fdatasync, "fdatasync", Place::Descriptor(0), SYNC),
    call(libc::SYS_socket, "socket", Place::Nowhere, DESCRIPTOR),
    call(
        libc::SYS_socketpair,
        "socketpair",
        Place::Nowhere,
        DESCRIPTOR,
    ),
    call(libc::SYS_accept, "accept", Place::Nowhere, DESCRIPTOR),
    call(libc::SYS_accept4, "accept4", Place::Nowhere, DESCRIPTOR),
    call(libc::SYS_pipe2, "pipe2", Place::Nowhere, DESCRIPTOR),
    call(
        libc::SYS_epoll_create1,
        "epoll_create1",
        Place::Nowhere,
        DESCRIPTOR,
    ),
    call(libc::SYS_eventfd2, "eventfd2", Place::Nowhere, DESCRIPTOR),
    call(libc::SYS_signalfd4, "signalfd4", Place::Nowhere, DESCRIPTOR),
    call(
        libc::SYS_memfd_create,
        "memfd_create",
        Place::Nowhere,
        DESCRIPTOR,
    ),
    call(
        libc::SYS_pidfd_open,
        "pidfd_open",
        Place::Nowhere,
        DESCRIPTOR,
    ),
    call(
        libc::SYS_open_tree,
        "open_tree",
        Place::At(0, 1),
        DESCRIPTOR,
    ),
    call(libc::SYS_fsopen, "fsopen", Place::Nowhere, DESCRIPTOR),
    call(libc::SYS_fsmount, "fsmount", Place::Nowhere, DESCRIPTOR),
    call(libc::SYS_clone, "clone", Place::Nowhere, PROCESS),
    call(libc::SYS_clone3, "clone3", Place::Nowhere, PROCESS),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_fork, "fork", Place::Nowhere, PROCESS),
    #[cfg(target_arch = "x86_64")]
    call(libc::SYS_vfork, "vfork", Place::Nowhere, PROCESS),
];

/// A call as some process makes it.
pub struct Asked {
    pub call: &'static Call,
    pub path: Option<PathBuf>,
    thread: u32,
    arguments: [u64; 6],
}

impl Asked {
    pub fn new(thread: u32, number: libc::c_int, arguments: [u64; 6]) -> Option<Asked> {
        let call = CALLS
            .iter()
            .find(|call| call.number == libc::c_long::from(number))?;
        let mut asked = Asked {
            call,
            path: None,
            thread,
            arguments,
        };
        asked.path = asked.find_path();
        Some(asked)
    }

    /// Whether it takes this of the host, as far as can be seen.
    pub fn is_of(&self, class: Class) -> bool {
        if !self.call.classes.contains(&class) {
            return false;
        }
        match self.call.flags {
            Some(flags) if class == Class::Space => {
                self.arguments[flags] & libc::O_CREAT as u64 != 0
                    && self.path.as_ref().is_some_and(|path| !path.exists())
            }
            _ => true,
        }
    }

    fn find_path(&self) -> Option<PathBuf> {
        match self.call.place {
            Place::Nowhere => None,
            Place::Descriptor(index) => self.file_of(self.arguments[index]),
            Place::Path(index) => {
                let skipped = if self.call.name == "bind" {
                    size_of::<libc::sa_family_t>() as u64
                } else {
                    0
                };
                self.text(self.arguments[index] + skipped)
                    .map(PathBuf::from)
            }
            Place::At(directory, index) => {
                let path = self.text(self.arguments[index])?;
                if path.starts_with('/') {
                    return Some(PathBuf::from(path));
                }
                Some(self.file_of(self.arguments[directory])?.join(path))
            }
        }
    }

    fn file_of(&self, descriptor: u64) -> Option<PathBuf> {
        // The kernel takes a descriptor's low half.
        let number = descriptor as RawFd;
        let process = format!("/proc/{}", self.thread);
        let link = match number {
            libc::AT_FDCWD => format!("{process}/cwd"),
            _ => format!("{process}/fd/{number}"),
        };
        std::fs::read_link(link).ok()
    }

    /// A string in the process's memory.
    fn text(&self, address: u64) -> Option<String> {
        use std::os::unix::fs::FileExt;
        let memory =
            std::fs::File::open(Path::new("/proc").join(self.thread.to_string()).join("mem"))
                .ok()?;
        let mut bytes = Vec::new();
        let mut part = [0_u8; 64];
        while bytes.len() < libc::PATH_MAX as usize {
            let read = memory
                .read_at(&mut part, address + bytes.len() as u64)
                .ok()?;
            if let Some(end) = part[..read].iter().position(|byte| *byte == 0) {
                bytes.extend_from_slice(&part[..end]);
                return String::from_utf8(bytes).ok();
            }
            if read == 0 {
                return None;
            }
            bytes.extend_from_slice(&part[..read]);
        }
        None
    }
}
