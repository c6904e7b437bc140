//! Overlay from descriptors of layers that are attached nowhere (Linux 6.15 and later).

use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::Layers;
use crate::errors::{Result, StageError, Step};
use crate::fresh;

pub fn mount(layers: &Layers) -> Result<OwnedFd> {
    let context = fresh::open("overlay", Step::MountRoot, "overlay")?;
    let failed = |object: &str, errno: Errno| {
        fresh::with_messages(StageError::os(Step::MountRoot, object, errno), &context)
    };
    rustix::mount::fsconfig_set_string(&context, "source", "overlay")
        .map_err(|errno| failed("overlay", errno))?;
    for (layer, path) in layers.lower() {
        rustix::mount::fsconfig_set_fd(&context, "lowerdir+", layer)
            .map_err(|errno| failed(path, errno))?;
    }
    if let Some((upper, work)) = layers.open_upper()? {
        rustix::mount::fsconfig_set_fd(&context, "upperdir", &upper)
            .map_err(|errno| failed("upper layer", errno))?;
        rustix::mount::fsconfig_set_fd(&context, "workdir", &work)
            .map_err(|errno| failed("work directory", errno))?;
    }
    fresh::set_options(&context, layers.options(), Step::MountRoot, "overlay")?;
    fresh::create(&context, Step::MountRoot, "overlay")
}
