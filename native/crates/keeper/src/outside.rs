//! What belongs to processes outside the pod. A Landlock domain may not look into processes outside of it, their
//! `/proc/<pid>/ns` and `/proc/<pid>/exe` included, so the namespaces that the pod's first container joins and the hooks that are
//! a running program (Docker's daemon names itself so) are opened before the keeper takes its scopes, and the stage opens them
//! again by the keeper's descriptors.

use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use wire::keeper::{Source, source::Kind};

/// Most descriptors held for one container: one per kind of namespace, and some more.
const MOST: usize = 16;

/// What is held for a container until its stage is told to go on. A create may open its sources more than once (a root that
/// turns out to be a mounted overlay): what was held for the first time serves the next.
#[derive(Default)]
pub struct Outside {
    container: String,
    /// By the path that the container's sources have for it.
    held: Vec<(String, OwnedFd)>,
}

impl Outside {
    /// Opens what a container's sources name by a process, as long as the keeper still can. What can't be opened is left as it
    /// is: the stage says why.
    pub fn hold(&mut self, container: &str, sources: &[Source]) {
        self.release(&self.container.clone());
        self.container = container.to_owned();
        for source in sources {
            let Some(flags) = way_to_open(source.kind, &source.path) else {
                continue;
            };
            if self.held.len() >= MOST {
                break;
            }
            if let Ok(opened) = open(source.path.as_str(), flags | OFlags::CLOEXEC, Mode::empty()) {
                self.held.push((source.path.clone(), opened));
            }
        }
    }

    /// Has a container's sources name what is held for it by a path of the keeper's own.
    pub fn rename(&self, container: &str, sources: &mut [Source], keeper: i32) {
        if container != self.container {
            return;
        }
        for source in sources {
            let held = |(path, _): &&(String, OwnedFd)| *path == source.path;
            if let Some((_, opened)) = self.held.iter().find(held) {
                source.path = format!("/proc/{keeper}/fd/{}", opened.as_raw_fd());
            }
        }
    }

    /// The container's stage has opened all that it needs.
    pub fn release(&mut self, container: &str) {
        if container == self.container {
            *self = Outside::default();
        }
    }
}

/// `/proc/<pid>/ns/<kind>` of a namespace, `/proc/<pid>/exe` of an executable, and nothing else: opening them never waits.
fn way_to_open(kind: i32, path: &str) -> Option<OFlags> {
    let mut parts = path.strip_prefix("/proc/")?.split('/');
    let pid = parts.next()?;
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let rest: Vec<&str> = parts.collect();
    match (Kind::try_from(kind), rest.as_slice()) {
        (Ok(Kind::Namespace), ["ns", name]) if !matches!(*name, "" | "." | "..") => {
            Some(OFlags::RDONLY)
        }
        (Ok(Kind::Executable), ["exe"]) => Some(OFlags::PATH),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_namespaces_and_programs_of_processes_are_opened_here() {
        let opened = |kind: Kind, path: &str| way_to_open(kind.into(), path).is_some();
        assert!(opened(Kind::Namespace, "/proc/12/ns/net"));
        assert!(opened(Kind::Executable, "/proc/12/exe"));
        assert!(!opened(Kind::Executable, "/proc/12/ns/net"));
        assert!(!opened(Kind::Namespace, "/proc/12/exe"));
        for path in [
            "/proc/self/ns/net",
            "/proc/self/exe",
            "/run/netns/x",
            "/proc/12/root/x",
            "/proc/12/exe/x",
            "/proc/12/ns/..",
            "/proc/12/ns/",
            "/proc//exe",
            "",
        ] {
            for kind in [Kind::Namespace, Kind::Executable, Kind::Bind] {
                assert!(!opened(kind, path), "{kind:?} {path}");
            }
        }
    }
}
