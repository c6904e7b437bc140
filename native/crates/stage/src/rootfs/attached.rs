//! Overlay from layers attached in the workshop, named by one option string: for kernels that take no descriptors of
//! detached mounts. The kernel keeps clones of its own, so the layers go away with the workshop, before the container sees
//! anything, and the options show the workshop's names alone.

use std::ffi::CString;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::mount::MountFlags;

use super::Layers;
use crate::errors::{At, Result, StageError, Step};
use crate::workshop::Workshop;

/// mount(2) takes one page of options, the terminating NUL included.
const MAX_OPTIONS: usize = 4095;

pub fn mount(layers: &Layers, workshop: &mut Workshop) -> Result<OwnedFd> {
    let mut lower = Vec::new();
    for (layer, path) in layers.lower() {
        lower.push(workshop.attach(layer).at(Step::MountRoot, path)?);
    }
    let mut options = vec![format!("lowerdir={}", lower.join(":"))];
    if let Some((parent, upper, work)) = layers.upper() {
        for name in [upper, work] {
            if name.contains([',', ':', '\\']) {
                return Err(StageError::new(
                    Step::MountRoot,
                    name,
                    "overlay's option string can't hold this name",
                )
                .remedy("rename the upper and the work directory, or use Linux 6.15 or later"));
            }
        }
        let parent = workshop.attach(parent).at(Step::MountRoot, "upper layer")?;
        options.push(format!("upperdir={parent}/{upper}"));
        options.push(format!("workdir={parent}/{work}"));
    }
    options.extend_from_slice(layers.options());
    let options = options.join(",");
    if options.len() > MAX_OPTIONS {
        return Err(StageError::new(
            Step::MountRoot,
            "overlay",
            "more layers than one page of options holds",
        )
        .remedy("use an image with fewer layers, or Linux 6.15 or later"));
    }
    let options = CString::new(options)
        .map_err(|_| StageError::new(Step::ReadPlan, "overlay options", "a NUL byte"))?;
    let point = workshop.mount_point().at(Step::MountRoot, "overlay")?;
    rustix::mount::mount(
        "overlay",
        &point,
        "overlay",
        MountFlags::NODEV,
        options.as_c_str(),
    )
    .map_err(|errno| {
        StageError::os(Step::MountRoot, "overlay", errno)
            .remedy("the kernel's log may name the option or layer")
    })?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(&point, flags, Mode::empty()).at(Step::MountRoot, "overlay")
}
