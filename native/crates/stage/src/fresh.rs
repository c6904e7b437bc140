//! File systems mounted anew: fsopen, options one by one, fsmount; the result is attached nowhere.

use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode};
use rustix::io::Errno;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};
use wire::keeper::source::Kind;
use wire::plan::Fresh;

use crate::errors::{At, Result, StageError, Step};
use crate::sources::Handles;
use crate::workshop::Workshop;

/// Most options of one mount.
const MAX_OPTIONS: usize = 256;

pub fn mount(
    plan: &Fresh,
    handles: &Handles,
    workshop: &mut Workshop,
    step: Step,
    target: &str,
) -> Result<OwnedFd> {
    let object = format!("{} ({})", target, plan.fs_type);
    let context = open(&plan.fs_type, step, &object)?;
    if plan.handle != 0 {
        let source = handles.get(plan.handle, step)?;
        if source.kind != Kind::Device && source.kind != Kind::Bind
            || source.file_type != FileType::BlockDevice
        {
            return Err(StageError::new(step, &source.path, "not a block device"));
        }
        set_device(&context, source.device, workshop, step, &source.path)?;
    } else if !plan.source_name.is_empty() {
        rustix::mount::fsconfig_set_string(&context, "source", &plan.source_name)
            .at(step, &object)?;
    }
    set_options(&context, &plan.options, step, &object)?;
    create(&context, step, &object)
}

/// A root from an image, through the loop device on it.
pub fn mount_image(plan: &Fresh, device: &OwnedFd, workshop: &mut Workshop) -> Result<OwnedFd> {
    let step = Step::MountRoot;
    let object = format!("/ ({})", plan.fs_type);
    let context = open(&plan.fs_type, step, &object)?;
    let stat = rustix::fs::fstat(device).at(step, &object)?;
    set_device(&context, stat.st_rdev, workshop, step, &object)?;
    set_options(&context, &plan.options, step, &object)?;
    create(&context, step, &object)
}

/// A node of our own for the very device that was opened: its path can't be turned into another one.
fn set_device(
    context: &OwnedFd,
    device: u64,
    workshop: &mut Workshop,
    step: Step,
    object: &str,
) -> Result<()> {
    let (path, _node) = workshop
        .node(FileType::BlockDevice, device, Mode::from_raw_mode(0o600))
        .at(step, object)?;
    rustix::mount::fsconfig_set_string(context, "source", &path).at(step, object)
}

pub fn open(fs_type: &str, step: Step, object: &str) -> Result<OwnedFd> {
    rustix::mount::fsopen(fs_type, FsOpenFlags::FSOPEN_CLOEXEC).map_err(|errno| match errno {
        Errno::NODEV => StageError::os(step, object, errno)
            .while_doing(&format!("file system type {fs_type:?}"))
            .remedy("the kernel doesn't know it; load its module"),
        _ => StageError::os(step, object, errno),
    })
}

/// Sets "key=value" and "key" options, in order.
pub fn set_options(context: &OwnedFd, options: &[String], step: Step, object: &str) -> Result<()> {
    if options.len() > MAX_OPTIONS {
        return Err(StageError::new(
            step,
            object,
            format!("more than {MAX_OPTIONS} options"),
        ));
    }
    for option in options {
        let set = match option.split_once('=') {
            Some((key, value)) => rustix::mount::fsconfig_set_string(context, key, value),
            None => rustix::mount::fsconfig_set_flag(context, option.as_str()),
        };
        set.map_err(|errno| with_messages(StageError::os(step, object, errno), context))
            .map_err(|error| error.while_doing(&format!("option {option:?}")))?;
    }
    Ok(())
}

pub fn create(context: &OwnedFd, step: Step, object: &str) -> Result<OwnedFd> {
    rustix::mount::fsconfig_create(context)
        .and_then(|()| {
            rustix::mount::fsmount(
                context,
                FsMountFlags::FSMOUNT_CLOEXEC,
                MountAttrFlags::empty(),
            )
        })
        .map_err(|errno| with_messages(StageError::os(step, object, errno), context))
}

/// Adds what the file system itself says about its refusal.
pub fn with_messages(mut error: StageError, context: &OwnedFd) -> StageError {
    let messages = sys::mounts::context_messages(context);
    if !messages.is_empty() {
        error.cause = format!("{} ({messages})", error.cause);
    }
    error
}
