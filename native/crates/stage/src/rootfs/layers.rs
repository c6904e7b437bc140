//! The layers of an overlay as clones that are attached nowhere.

use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use wire::keeper::source::Kind;
use wire::plan::Overlay;

use crate::errors::{At, Result, StageError, Step};
use crate::sources::{Handles, clone_mount};

/// Most lower layers the kernel stacks (OVL_MAX_STACK).
const MAX_LOWER: usize = 500;

pub struct Layers {
    /// Uppermost first.
    lower: Vec<Layer>,
    upper: Option<Upper>,
    options: Vec<String>,
    /// Upper and work have the container's host ids already.
    keep_upper_ids: bool,
}

struct Layer {
    clone: OwnedFd,
    path: String,
}

/// Upper and work directory beneath one clone: overlay wants both on one mount. The work directory's name is relative to it.
struct Upper {
    parent: Layer,
    upper_name: String,
    work_name: String,
}

/// A work directory in that of another mount. Whoever removes the layers removes it with theirs.
fn own_work(parent: &Layer, work: &str) -> Result<String> {
    let own = format!("{work}/brig");
    match rustix::fs::mkdirat(&parent.clone, &own, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => Ok(own),
        Err(errno) => Err(StageError::os(
            Step::MountRoot,
            format!("{}/{own}", parent.path),
            errno,
        )),
    }
}

impl Layers {
    pub fn take(plan: &Overlay, handles: &Handles) -> Result<Layers> {
        if plan.lower.is_empty() || plan.lower.len() > MAX_LOWER {
            let cause = format!(
                "{} lower layers, the kernel takes 1 to {MAX_LOWER}",
                plan.lower.len()
            );
            return Err(StageError::new(Step::ReadPlan, "overlay", cause));
        }
        let take = |handle: u32| {
            let source = handles.of_kind(handle, Kind::Bind, Step::CloneSource)?;
            Ok(Layer {
                clone: clone_mount(source, false)?,
                path: source.path.clone(),
            })
        };
        let lower = plan
            .lower
            .iter()
            .map(|handle| take(*handle))
            .collect::<Result<_>>()?;
        let upper = if plan.upper_parent == 0 {
            None
        } else {
            for name in [&plan.upper_name, &plan.work_name] {
                if name.is_empty() || name == ".." || name == "." || name.contains('/') {
                    return Err(StageError::new(
                        Step::ReadPlan,
                        format!("overlay directory {name:?}"),
                        "not a name",
                    ));
                }
            }
            let parent = take(plan.upper_parent)?;
            let work_name = if plan.work_is_shared {
                own_work(&parent, &plan.work_name)?
            } else {
                plan.work_name.clone()
            };
            Some(Upper {
                parent,
                upper_name: plan.upper_name.clone(),
                work_name,
            })
        };
        Ok(Layers {
            lower,
            upper,
            options: plan.options.clone(),
            keep_upper_ids: plan.keep_upper_ids,
        })
    }

    pub fn has_upper(&self) -> bool {
        self.upper.is_some()
    }

    pub fn options(&self) -> &[String] {
        &self.options
    }

    /// Clones of the lower layers, uppermost first, each with its path for messages.
    pub fn lower(&self) -> impl Iterator<Item = (&OwnedFd, &str)> {
        self.lower
            .iter()
            .map(|layer| (&layer.clone, layer.path.as_str()))
    }

    /// The clone of the parent of upper and work, and their names.
    pub fn upper(&self) -> Option<(&OwnedFd, &str, &str)> {
        self.upper.as_ref().map(|upper| {
            (
                &upper.parent.clone,
                upper.upper_name.as_str(),
                upper.work_name.as_str(),
            )
        })
    }

    /// Descriptors of the upper and the work directory.
    pub fn open_upper(&self) -> Result<Option<(OwnedFd, OwnedFd)>> {
        let Some(upper) = &self.upper else {
            return Ok(None);
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = |name: &str| {
            rustix::fs::openat(&upper.parent.clone, name, flags, Mode::empty())
                .at(Step::MountRoot, format!("{}/{name}", upper.parent.path))
        };
        Ok(Some((open(&upper.upper_name)?, open(&upper.work_name)?)))
    }

    /// Shifts the ids of all of them.
    pub fn idmap(&self, userns: BorrowedFd<'_>) -> Result<()> {
        let parents = self
            .upper
            .iter()
            .filter(|_| !self.keep_upper_ids)
            .map(|upper| &upper.parent);
        for layer in self.lower.iter().chain(parents) {
            super::shift_ids(&layer.clone, Some(userns), false, &layer.path)?;
        }
        Ok(())
    }
}
