//! A process that does nothing but be in a cgroup that somebody else makes around it. systemd makes a scope with its first process in
//! it and takes it away when the last one has left, so until the container's init is in there, this one is.

use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions};
use sys::process::Fork;

use crate::errors::{At, Result, Step};

/// A child of the stage. It ends with the stage, since it asked the kernel for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placeholder {
    pid: i32,
}

impl Placeholder {
    /// To be called while the stage has a single thread, as it always has.
    pub fn start() -> Result<Placeholder> {
        let stage = rustix::process::getpid();
        match sys::process::fork().at(Step::StartChild, "placeholder")? {
            Fork::Parent(pid) => Ok(Placeholder { pid }),
            Fork::Child => idle(stage),
        }
    }

    /// One that this process has already, from before it executed its program anew.
    pub fn of_pid(pid: i32) -> Option<Placeholder> {
        (pid > 0).then_some(Placeholder { pid })
    }

    pub fn pid(self) -> i32 {
        self.pid
    }

    /// Ends it and collects it, so that it does not count in its cgroup any more.
    pub fn end(self) {
        let Some(pid) = Pid::from_raw(self.pid) else {
            return;
        };
        // Not collected yet, so the pid is its own. Whatever fails here, it is gone already.
        let _ = rustix::process::kill_process(pid, Signal::KILL);
        while let Err(rustix::io::Errno::INTR) =
            rustix::process::waitpid(Some(pid), WaitOptions::empty())
        {}
    }
}

/// The life of a placeholder. It holds no descriptor, so that nobody waits for its end in vain.
fn idle(stage: Pid) -> ! {
    let alone = sys::process::close_all_but(&[]).is_ok();
    // A stage that ended before the kernel was asked to tell is not the parent any more.
    if !alone || crate::protect().is_err() || rustix::process::getppid() != Some(stage) {
        sys::process::exit_now(1)
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}
