//! The process that becomes the container's init or an exec'd program: a fork of the stage, child of the keeper. Here is what
//! it does to itself, up to its barrier and execve.

mod barrier;
mod credentials;
mod labels;
pub(crate) mod lookup;

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use wire::plan::{Hook, Process};

use crate::errors::{At, Result, StageError, Step};
use crate::link::ToStage;
use crate::procfs::Procfs;
use crate::protect;
use crate::seccomp;

/// Standard streams, barrier: what the keeper gave for the process.
pub struct LaunchDescriptors {
    pub stdin: Option<OwnedFd>,
    pub stdout: Option<OwnedFd>,
    pub stderr: Option<OwnedFd>,
    pub barrier: OwnedFd,
}

/// Hooks that the process runs itself, right before execve, and the parts of the state they read.
#[derive(Clone, Copy, Default)]
pub struct StartHooks<'a> {
    pub hooks: &'a [Hook],
    pub state_parts: &'a [String],
}

/// A process on its way.
pub struct Child<'a> {
    pub link: ToStage,
    pub descriptors: LaunchDescriptors,
    pub procfs: &'a Procfs,
    pub process: &'a Process,
    pub start_hooks: StartHooks<'a>,
    /// Highest capability the kernel knows.
    pub last_capability: u32,
}

impl Child<'_> {
    /// Runs `steps` and then stands at the barrier; a failure is told to the stage. Never returns.
    pub fn run(mut self, steps: impl FnOnce(&mut Self) -> Result<Ready>) -> ! {
        let failed = match steps(&mut self).and_then(|ready| self.become_process(ready)) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        self.link.fail(&failed);
        sys::process::exit_now(1)
    }

    /// Takes the ids of the user namespace's root, with all its capabilities.
    pub fn become_root(&self) -> Result<()> {
        sys::credentials::set_groups(&[])
            .and_then(|()| sys::credentials::set_gid(0))
            .and_then(|()| sys::credentials::set_uid(0))
            .at(Step::SetIds, "root of the container")?;
        protect()
    }

    fn become_process(&mut self, mut ready: Ready) -> Result<std::convert::Infallible> {
        let process = self.process;
        let filters = seccomp::of_plan(&process.seccomp)?;
        rustix::process::setsid().at(Step::SetStdio, "session")?;
        self.take_streams(ready.terminal.take())?;
        self.set_scheduling()?;
        let environment = lookup::environment(&ready.root, process);
        let entered = lookup::enter_directory(&ready.root, &process.cwd)?;
        labels::apply(self.procfs, process)?;
        if process.no_new_privileges {
            sys::credentials::set_no_new_privileges().at(Step::SetCapabilities, "no_new_privs")?;
        }
        if let Some(ruleset) = &ready.landlock {
            sys::landlock::restrict_self(ruleset.as_fd()).at(Step::Landlock, "ruleset")?;
        }
        // Without no_new_privs a filter needs CAP_SYS_ADMIN, which is then given up by the last call before the barrier.
        let keep_admin = !process.no_new_privileges && !filters.is_empty();
        credentials::apply(process, self.last_capability, keep_admin)?;
        protect()?;
        if process.new_session_keyring {
            self.new_keyring()?;
        }
        lookup::finish_directory(&ready.root, &process.cwd, entered)?;
        let image = lookup::image(process, environment)?;
        rustix::process::umask(Mode::from_raw_mode(process.umask.unwrap_or(0o022)));
        drop(ready);
        barrier::stand(self, &image, &filters, keep_admin)
    }

    fn take_streams(&mut self, terminal: Option<OwnedFd>) -> Result<()> {
        if let Some(terminal) = terminal {
            rustix::process::ioctl_tiocsctty(&terminal)
                .at(Step::OpenTerminal, "controlling terminal")?;
            return duplicate(&terminal, &terminal, &terminal);
        }
        let missing =
            |name| StageError::new(Step::SetStdio, name, "the keeper gave no descriptor for it");
        let stdin = self
            .descriptors
            .stdin
            .take()
            .ok_or_else(|| missing("stdin"))?;
        let stdout = self
            .descriptors
            .stdout
            .take()
            .ok_or_else(|| missing("stdout"))?;
        let stderr = self
            .descriptors
            .stderr
            .take()
            .ok_or_else(|| missing("stderr"))?;
        duplicate(&stdin, &stdout, &stderr)
    }

    fn set_scheduling(&self) -> Result<()> {
        let process = self.process;
        if let Some(persona) = process.personality {
            sys::scheduling::set_personality(persona)
                .at(Step::SetScheduling, format!("personality {persona:#x}"))?;
        }
        if let Some(policy) = &process.memory_policy {
            sys::scheduling::set_memory_policy(policy.mode, &policy.nodes).at(
                Step::SetScheduling,
                format!("memory policy {}", policy.mode),
            )?;
        }
        Ok(())
    }

    fn new_keyring(&self) -> Result<()> {
        match sys::keyring::new_session() {
            // A kernel without keyrings has none that could be shared.
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
            result => result.at(Step::SetKeyring, "session keyring"),
        }
    }
}

/// What a process needs once it is in its namespaces.
pub struct Ready {
    /// The container's root directory.
    pub root: OwnedFd,
    pub terminal: Option<OwnedFd>,
    pub landlock: Option<OwnedFd>,
}

/// The calling process's own root, as a descriptor.
pub fn own_root() -> Result<OwnedFd> {
    rustix::fs::open(
        "/",
        OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .at(Step::EnterDirectory, "/")
}

fn duplicate(stdin: &OwnedFd, stdout: &OwnedFd, stderr: &OwnedFd) -> Result<()> {
    // None of the sources is itself 0, 1 or 2: those have been taken since the keeper was forked.
    rustix::stdio::dup2_stdin(stdin)
        .and_then(|()| rustix::stdio::dup2_stdout(stdout))
        .and_then(|()| rustix::stdio::dup2_stderr(stderr))
        .at(Step::SetStdio, "stdin, stdout, stderr")
}
