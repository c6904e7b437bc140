//! The stage: a short-lived process, forked by the keeper for each create and exec, that opens sources, builds what a
//! launch plan says and hands back a process standing at its barrier before `execve`. It may hang (a mount that never
//! returns) without harm to anyone else. Runs with init credentials; everything it reads from the keeper was decided by brigd.

use std::os::fd::OwnedFd;

/// What a stage is born with.
pub struct StageArgs {
    /// Stream socket to the keeper (`ToStage`/`FromStage` frames).
    pub control: OwnedFd,
    /// Directory with the floor files.
    pub floor_dir: std::path::PathBuf,
}

/// Runs the stage in a freshly forked process and never returns. Closes every descriptor but `control` first.
pub fn run(_args: StageArgs) -> ! {
    std::process::exit(70)
}
