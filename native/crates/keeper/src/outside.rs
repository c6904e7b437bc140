//! Namespaces of processes outside the pod. A Landlock domain may not look into processes outside of it, their
//! `/proc/<pid>/ns` included, so those that the pod's first container joins are opened before the keeper takes its scopes,
//! and the stage opens them again by the keeper's descriptors.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use wire::keeper::{Source, source};

/// Most descriptors held for one container: one per kind of namespace, and some more.
const MOST: usize = 16;

/// Opens the namespaces that sources name by a process, and has the sources name what was opened. What can't be opened is left
/// as it is: the stage says why.
pub fn hold_namespaces(sources: &mut [Source], keeper: i32) -> Vec<OwnedFd> {
    let mut held = Vec::new();
    for source in sources {
        let kind = source::Kind::try_from(source.kind);
        if kind != Ok(source::Kind::Namespace)
            || !names_a_process(&source.path)
            || held.len() >= MOST
        {
            continue;
        }
        if let Ok(namespace) = open(
            source.path.as_str(),
            OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        ) {
            source.path = format!("/proc/{keeper}/fd/{}", namespace.as_raw_fd());
            held.push(namespace);
        }
    }
    held
}

/// `/proc/<pid>/ns/<kind>` and nothing else: opening it never waits.
fn names_a_process(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    matches!(parts.as_slice(), ["", "proc", pid, "ns", kind] if is_number(pid) && !matches!(*kind, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_s_namespace_is_opened_here() {
        assert!(names_a_process("/proc/12/ns/net"));
        for path in [
            "/proc/self/ns/net",
            "/run/netns/x",
            "/proc/12/root/x",
            "/proc/12/ns/..",
            "/proc/12/ns/",
            "",
        ] {
            assert!(!names_a_process(path), "{path}");
        }
    }
}
