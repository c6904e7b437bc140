//! What must be taken back when a later step fails, declared next to the step that did it. Mounts need none: they vanish
//! with the private mount namespace.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use rustix::process::Signal;

/// How long a killed process and then its cgroups may take to go.
const PATIENCE: Duration = Duration::from_secs(2);

/// Steps back, taken in reverse order when dropped, unless released.
#[derive(Default)]
pub struct Undo {
    actions: Vec<Action>,
}

enum Action {
    /// Kill and wait until it is dead; its parent, the keeper, reaps it.
    Kill(OwnedFd),
    /// Remove the (by then empty) cgroup directory `name` of `parent`.
    RemoveCgroup { parent: OwnedFd, name: String },
}

impl Undo {
    pub fn kill(&mut self, pidfd: OwnedFd) {
        self.actions.push(Action::Kill(pidfd));
    }

    pub fn remove_cgroup(&mut self, parent: OwnedFd, name: &str) {
        self.actions.push(Action::RemoveCgroup {
            parent,
            name: name.to_owned(),
        });
    }

    /// Everything went well: what was made stays.
    pub fn release(&mut self) {
        self.actions.clear();
    }

    /// Takes everything back now.
    pub fn run(&mut self) {
        while let Some(action) = self.actions.pop() {
            match action {
                Action::Kill(pidfd) => kill(&pidfd),
                Action::RemoveCgroup { parent, name } => remove_cgroup(&parent, &name),
            }
        }
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        self.run();
    }
}

fn kill(pidfd: &OwnedFd) {
    // Already dead is as good; there is nobody to tell of anything else.
    let _ = rustix::process::pidfd_send_signal(pidfd, Signal::KILL);
    let _ = wait_for_end(pidfd, PATIENCE);
}

/// Waits until the process behind the pidfd has ended; false when the time is over first.
pub fn wait_for_end(pidfd: &OwnedFd, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: left.as_secs() as i64,
            tv_nsec: left.subsec_nanos().into(),
        };
        let mut poll = [PollFd::new(pidfd, PollFlags::IN)];
        match rustix::event::poll(&mut poll, Some(&timeout)) {
            Ok(0) => return false,
            Ok(_) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn remove_cgroup(parent: &OwnedFd, name: &str) {
    let deadline = Instant::now() + PATIENCE;
    // A process that has just ended may still count for a moment; the kernel offers nothing to wait on for that.
    while let Err(Errno::BUSY) = rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        if Instant::now() >= deadline {
            return;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}
