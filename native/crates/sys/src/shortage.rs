//! What would help where the host has run out of something: the remedy that goes with the kernel's error.

/// For errors that say that something is used up; nothing for all others.
#[must_use]
pub fn remedy(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EMFILE => Some("raise the limit of open files that containerd's shims inherit"),
        libc::ENFILE => Some("raise the host's fs.file-max"),
        libc::ENOMEM => Some("free memory, or raise the limit of the control group"),
        _ => None,
    }
}

/// The same for a file that was to be made or written: elsewhere ENOSPC says other things.
#[must_use]
pub fn remedy_of_write(errno: i32) -> Option<&'static str> {
    match errno {
        libc::ENOSPC | libc::EDQUOT => {
            Some("make room in its file system, for bytes and for files")
        }
        libc::EROFS => Some("make its file system writable"),
        other => remedy(other),
    }
}

/// The same for a fork.
#[must_use]
pub fn remedy_of_fork(errno: i32) -> Option<&'static str> {
    match errno {
        libc::EAGAIN => {
            Some("raise the limit of processes of the keepers' control group or of the host")
        }
        other => remedy(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_up_has_a_remedy_and_nothing_else_has() {
        assert!(remedy_of_write(libc::ENOSPC).is_some_and(|text| text.contains("room")));
        assert!(remedy_of_fork(libc::EAGAIN).is_some_and(|text| text.contains("processes")));
        assert_eq!(remedy_of_fork(libc::EMFILE), remedy(libc::EMFILE));
        assert_eq!(remedy(libc::EAGAIN), None);
        assert_eq!(remedy_of_write(libc::ENOENT), None);
    }
}
