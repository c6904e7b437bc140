//! What the mount API has and rustix doesn't: mount_setattr(2), and the messages of a file system context.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// A change to the attributes of a mount (struct mount_attr).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MountChange<'fd> {
    /// `MOUNT_ATTR_*` to set and to clear.
    pub set: u64,
    pub clear: u64,
    /// `MS_PRIVATE`, `MS_SLAVE`, `MS_SHARED`, `MS_UNBINDABLE` or 0.
    pub propagation: u64,
    /// The user namespace whose maps shift the ids of this mount.
    pub idmap: Option<RawUserNamespace<'fd>>,
}

/// A user namespace descriptor in a [`MountChange`].
#[derive(Debug, Clone, Copy)]
pub struct RawUserNamespace<'fd>(pub BorrowedFd<'fd>);

impl PartialEq for RawUserNamespace<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_raw_fd() == other.0.as_raw_fd()
    }
}

impl Eq for RawUserNamespace<'_> {}

/// Changes the mount whose root `mount` refers to, and with `recursive` all below it.
pub fn change(mount: impl AsFd, change: MountChange<'_>, recursive: bool) -> io::Result<()> {
    let mut attr = libc::mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: 0,
    };
    if let Some(RawUserNamespace(userns)) = change.idmap {
        attr.attr_set |= libc::MOUNT_ATTR_IDMAP;
        attr.userns_fd = userns.as_raw_fd() as u64;
    }
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the path is a constant string, pointer and size describe `attr`, which the kernel only reads.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<libc::mount_attr>(),
        )
    };
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// What a file system wrote to its context's log ("e overlay: ..."), one message per line; empty if nothing.
pub fn context_messages(context: impl AsFd) -> String {
    let mut all = Vec::new();
    let mut buffer = [0u8; 512];
    for _ in 0..8 {
        match rustix::io::read(context.as_fd(), &mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(length) => {
                if !all.is_empty() {
                    all.extend_from_slice(b"; ");
                }
                let line = buffer[..length].trim_ascii_end();
                all.extend_from_slice(line.strip_prefix(b"e ").unwrap_or(line));
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}
