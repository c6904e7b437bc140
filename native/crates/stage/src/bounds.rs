//! Upper bounds of a plan: whatever goes beyond them was not made by brigd's planning.

use wire::plan::{Cgroups, CreatePlan, Process};

use crate::errors::{Result, StageError, Step};

/// Longest path the kernel takes (PATH_MAX).
const MAX_PATH: usize = 4096;

pub fn check_create(plan: &CreatePlan) -> Result<()> {
    for (what, count, limit) in [
        ("namespaces", plan.namespaces.len(), 8),
        ("time offsets", plan.time_offsets.len(), 2),
        ("mounts", plan.mounts.len(), 4096),
        ("devices", plan.devices.len(), 1024),
        ("links", plan.symlinks.len(), 1024),
        ("masked paths", plan.masked_paths.len(), 4096),
        ("read-only paths", plan.readonly_paths.len(), 4096),
        ("sysctls", plan.sysctls.len(), 1024),
        ("hooks", plan.hooks.len(), 256),
    ] {
        at_most(what, count, limit)?;
    }
    let paths = (plan.mounts.iter().map(|mount| &mount.destination))
        .chain(plan.devices.iter().map(|device| &device.path))
        .chain(plan.symlinks.iter().map(|link| &link.path))
        .chain(&plan.masked_paths)
        .chain(&plan.readonly_paths);
    for path in paths {
        check_path(path)?;
    }
    check_cgroups(plan.cgroups.as_ref())?;
    check_process(
        plan.process
            .as_ref()
            .ok_or_else(|| StageError::new(Step::ReadPlan, "process", "the plan has none"))?,
    )
}

pub fn check_cgroups(cgroups: Option<&Cgroups>) -> Result<()> {
    let Some(cgroups) = cgroups else {
        return Ok(());
    };
    at_most("cgroup directories", cgroups.dirs.len(), 64)?;
    at_most("cgroup writes", cgroups.writes.len(), 8192)
}

pub fn check_process(process: &Process) -> Result<()> {
    at_most("resource limits", process.rlimits.len(), 64)?;
    if let Some(landlock) = &process.landlock {
        for rule in &landlock.paths {
            check_path(&rule.path)?;
        }
    }
    Ok(())
}

fn at_most(what: &str, count: usize, limit: usize) -> Result<()> {
    if count > limit {
        return Err(StageError::new(
            Step::ReadPlan,
            what,
            format!("{count}, at most {limit} are carried out"),
        ));
    }
    Ok(())
}

fn check_path(path: &str) -> Result<()> {
    if path.len() >= MAX_PATH || path.contains('\0') || !path.starts_with('/') {
        let shown: String = path.chars().take(80).collect();
        return Err(StageError::new(
            Step::ReadPlan,
            shown,
            "not an absolute path of at most 4095 bytes",
        ));
    }
    Ok(())
}
