//! LSM labels that take effect at execve, written through the pinned procfs.

use rustix::io::Errno;
use wire::plan::Process;

use crate::errors::{Result, StageError, Step};
use crate::procfs::Procfs;

pub fn apply(procfs: &Procfs, process: &Process) -> Result<()> {
    if !process.apparmor_profile.is_empty() {
        let value = format!("exec {}", process.apparmor_profile);
        // The first is AppArmor's own since Linux 5.8; the second belongs to whichever LSM came first.
        let written = match procfs.write("self/attr/apparmor/exec", value.as_bytes()) {
            Err(Errno::NOENT) => procfs.write("self/attr/exec", value.as_bytes()),
            result => result,
        };
        written.map_err(|errno| {
            StageError::os(
                Step::SetLabel,
                format!("AppArmor profile {}", process.apparmor_profile),
                errno,
            )
            .remedy("load the profile (apparmor_parser -r), or enable AppArmor in the kernel")
        })?;
    }
    if !process.selinux_label.is_empty() {
        for file in ["exec", "keycreate"] {
            procfs
                .write(
                    &format!("self/attr/{file}"),
                    process.selinux_label.as_bytes(),
                )
                .map_err(|errno| {
                    StageError::os(
                        Step::SetLabel,
                        format!("SELinux label {} ({file})", process.selinux_label),
                        errno,
                    )
                    .remedy("the label must be valid in the loaded policy")
                })?;
        }
    }
    Ok(())
}
