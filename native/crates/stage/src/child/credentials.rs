//! Ids and capabilities of the process, for good. All five sets are set, whatever they were before.

use sys::credentials::{self as kernel, CapabilitySets};
use wire::plan::Process;

use crate::errors::{At, Result, StageError, Step};

/// CAP_SYS_ADMIN of <linux/capability.h>.
const SYS_ADMIN: u64 = 1 << 21;
/// Most supplementary groups (NGROUPS_MAX).
const MAX_GROUPS: usize = 65_536;

/// With `keep_admin` CAP_SYS_ADMIN stays until [`settle`].
pub fn apply(process: &Process, last_capability: u32, keep_admin: bool) -> Result<()> {
    let wanted = process.capabilities.unwrap_or_default();
    for number in 0..=last_capability {
        if wanted.bounding & 1 << number == 0 && kernel::bounding_has(number) == Some(true) {
            kernel::drop_from_bounding(number).at(
                Step::SetCapabilities,
                format!("bounding set, capability {number}"),
            )?;
        }
    }
    kernel::set_keep_capabilities(true).at(Step::SetCapabilities, "keep over the change of ids")?;
    set_ids(process)?;
    let admin = if keep_admin { SYS_ADMIN } else { 0 };
    let sets = CapabilitySets {
        effective: wanted.effective | admin,
        permitted: wanted.permitted | admin,
        inheritable: wanted.inheritable,
    };
    set(sets)?;
    kernel::clear_ambient().at(Step::SetCapabilities, "ambient set")?;
    for number in (0..=last_capability).filter(|number| wanted.ambient & 1 << number != 0) {
        kernel::raise_ambient(number)
            .at(
                Step::SetCapabilities,
                format!("ambient set, capability {number}"),
            )
            .map_err(|error| {
                error.remedy("an ambient capability must be permitted and inheritable as well")
            })?;
    }
    kernel::set_keep_capabilities(false).at(Step::SetCapabilities, "keep over the change of ids")
}

/// Gives up what `keep_admin` kept. One system call.
pub fn settle(process: &Process) -> Result<()> {
    let wanted = process.capabilities.unwrap_or_default();
    set(CapabilitySets {
        effective: wanted.effective,
        permitted: wanted.permitted,
        inheritable: wanted.inheritable,
    })
}

fn set(sets: CapabilitySets) -> Result<()> {
    kernel::set_capabilities(sets).at(Step::SetCapabilities, "effective, permitted, inheritable").map_err(|error| {
        error.remedy("a capability is asked for that containerd was started without, or effective goes beyond permitted")
    })
}

fn set_ids(process: &Process) -> Result<()> {
    if process.additional_gids.len() > MAX_GROUPS {
        return Err(StageError::new(
            Step::SetIds,
            "additional groups",
            format!("more than {MAX_GROUPS}"),
        ));
    }
    let unmapped = |error: StageError| {
        let invalid = error.errno == libc::EINVAL;
        if invalid {
            error.remedy("the id is not in the container's range; add it to extra_ids")
        } else {
            error
        }
    };
    let groups = &process.additional_gids;
    kernel::set_groups(groups)
        .at(Step::SetIds, format!("additional groups {groups:?}"))
        .map_err(unmapped)?;
    kernel::set_gid(process.gid)
        .at(Step::SetIds, format!("group {}", process.gid))
        .map_err(unmapped)?;
    kernel::set_uid(process.uid)
        .at(Step::SetIds, format!("user {}", process.uid))
        .map_err(unmapped)
}
