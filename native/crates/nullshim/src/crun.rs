//! crun behind containerd's runc shim, for `scripts/bench` alone. crun 1.8 refuses hosts that have cgroup v2 beside the
//! hierarchies of v1; so the shim is executed in a mount namespace of its own, in which v2 is not mounted, with a PATH in which
//! `runc` is crun. It costs one unshare(2) and a second execve(2) per call of the shim's binary, about 1 ms.

use std::ffi::OsString;
use std::fs;
use std::io::{Error, Result, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use rustix::mount::{MountPropagationFlags, UnmountFlags};

const SHIM: &str = "containerd-shim-runc-v2";

/// The directory beside this program in which `runc` is a link to crun.
const AS_RUNC: &str = "crun";

fn main() -> ExitCode {
    // Returns only where it fails.
    let error = become_shim().err();
    let cause = error.map_or_else(|| "unknown".to_owned(), |error| error.to_string());
    let _ = writeln!(std::io::stderr(), "crun's shim: {cause}");
    ExitCode::FAILURE
}

fn become_shim() -> Result<()> {
    let own = std::env::current_exe()?;
    let as_runc = own.with_file_name(AS_RUNC);
    let inherited = std::env::var_os("PATH").unwrap_or_default();
    let shim = find(&inherited)
        .ok_or_else(|| Error::other(format!("find {SHIM}: it is in no directory of PATH")))?;
    hide_cgroup_v2()?;
    let mut path = OsString::from(as_runc);
    path.push(":");
    path.push(inherited);
    Err(Command::new(shim)
        .args(std::env::args_os().skip(1))
        .env("PATH", path)
        .exec())
}

fn find(path: &std::ffi::OsStr) -> Option<PathBuf> {
    std::env::split_paths(path)
        .map(|dir| dir.join(SHIM))
        .find(|file| file.is_file())
}

/// Where it is not mounted at the root of all cgroups, which would leave none.
fn hide_cgroup_v2() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let hidden: Vec<&Path> = mounts
        .lines()
        .filter(|line| line.contains(" - cgroup2 "))
        .filter_map(|line| line.split(' ').nth(4).map(Path::new))
        .filter(|point| *point != Path::new("/sys/fs/cgroup"))
        .collect();
    if hidden.is_empty() {
        return Ok(());
    }
    sys::namespaces::unshare(libc::CLONE_NEWNS)?;
    // Nothing of this namespace reaches the host: what the shim mounts, it unmounts itself.
    rustix::mount::mount_change(
        "/",
        MountPropagationFlags::REC | MountPropagationFlags::DOWNSTREAM,
    )?;
    for point in hidden {
        rustix::mount::unmount(point, UnmountFlags::DETACH)?;
    }
    Ok(())
}
