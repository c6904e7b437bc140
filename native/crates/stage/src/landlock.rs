//! The Landlock ruleset of a process. Rules bind to inodes, so they are made from paths beneath the container's root and
//! stay right in every copy of its mounts.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use wire::plan::Landlock;

use crate::errors::{At, Result, StageError, Step};
use crate::paths;

/// Most rules of one ruleset that a plan may bring.
const MAX_RULES: usize = 4096;

/// LANDLOCK_ACCESS_FS_* that make sense for a file (the kernel refuses the others on one): execute, write, read, truncate,
/// ioctl_dev.
const FILE_ACCESS: u64 = 1 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15;

/// Builds the ruleset; None when the plan asks for none.
pub fn build(
    root: impl AsFd,
    plan: Option<&Landlock>,
    skipped: &mut Vec<String>,
) -> Result<Option<OwnedFd>> {
    let Some(plan) = plan.filter(|plan| plan.handled_fs != 0 || plan.handled_net != 0) else {
        return Ok(None);
    };
    if plan.paths.len() + plan.ports.len() > MAX_RULES {
        return Err(StageError::new(
            Step::Landlock,
            "ruleset",
            format!("more than {MAX_RULES} rules"),
        ));
    }
    let ruleset = sys::landlock::create(plan.handled_fs, plan.handled_net, 0)
        .at(Step::Landlock, "ruleset")
        .map_err(|error| {
            error.remedy(format!(
                "this kernel's Landlock ABI is {}",
                sys::landlock::abi()
            ))
        })?;
    for rule in &plan.paths {
        let beneath = match paths::open(&root, &rule.path, OFlags::PATH) {
            Ok(beneath) => beneath,
            Err(Errno::NOENT | Errno::NOTDIR) if rule.ignore_missing => {
                skipped.push(format!("Landlock rule {}", rule.path));
                continue;
            }
            Err(errno) => return Err(StageError::os(Step::Landlock, &rule.path, errno)),
        };
        let stat = rustix::fs::fstat(&beneath).at(Step::Landlock, &rule.path)?;
        let directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        let allowed = if directory {
            rule.allowed
        } else {
            rule.allowed & FILE_ACCESS
        };
        if allowed != 0 {
            sys::landlock::allow_path(ruleset.as_fd(), beneath.as_fd(), allowed)
                .at(Step::Landlock, &rule.path)?;
        }
    }
    for rule in &plan.ports {
        let object = format!("port {}", rule.port);
        let port = u16::try_from(rule.port)
            .map_err(|_| StageError::new(Step::Landlock, &object, "no such port"))?;
        sys::landlock::allow_port(ruleset.as_fd(), port, rule.allowed)
            .at(Step::Landlock, &object)?;
    }
    Ok(Some(ruleset))
}
