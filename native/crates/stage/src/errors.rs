//! What went wrong: step, object, cause and remedy, told once to the keeper.

use std::fmt;
use std::io;

use rustix::io::Errno;
use wire::keeper::Failure;

/// The steps of a create, an exec or a run of hooks, as messages name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Request,
    ReadPlan,
    CheckFloor,
    OpenSource,
    MakeCgroup,
    LimitCgroup,
    EnterCgroup,
    MakeTemplate,
    CloneSource,
    EnterMountNamespace,
    JoinNamespace,
    MakeNamespace,
    StartChild,
    MapIds,
    MountRoot,
    Mount,
    MakeDevice,
    MakeLink,
    MaskPath,
    ReadOnlyPath,
    WriteSysctl,
    OpenTerminal,
    Landlock,
    LockMounts,
    SetHostname,
    SetStdio,
    SetLabel,
    SetKeyring,
    SetScheduling,
    SetLimit,
    SetIds,
    SetCapabilities,
    InstallSeccomp,
    EnterDirectory,
    Exec,
    RunHook,
    ReadBack,
}

impl Step {
    const ALL: [Step; 37] = [
        Step::Request,
        Step::ReadPlan,
        Step::CheckFloor,
        Step::OpenSource,
        Step::MakeCgroup,
        Step::LimitCgroup,
        Step::EnterCgroup,
        Step::MakeTemplate,
        Step::CloneSource,
        Step::EnterMountNamespace,
        Step::JoinNamespace,
        Step::MakeNamespace,
        Step::StartChild,
        Step::MapIds,
        Step::MountRoot,
        Step::Mount,
        Step::MakeDevice,
        Step::MakeLink,
        Step::MaskPath,
        Step::ReadOnlyPath,
        Step::WriteSysctl,
        Step::OpenTerminal,
        Step::Landlock,
        Step::LockMounts,
        Step::SetHostname,
        Step::SetStdio,
        Step::SetLabel,
        Step::SetKeyring,
        Step::SetScheduling,
        Step::SetLimit,
        Step::SetIds,
        Step::SetCapabilities,
        Step::InstallSeccomp,
        Step::EnterDirectory,
        Step::Exec,
        Step::RunHook,
        Step::ReadBack,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Step::Request => "read request",
            Step::ReadPlan => "read plan",
            Step::CheckFloor => "check floor",
            Step::OpenSource => "open source",
            Step::MakeCgroup => "make cgroup",
            Step::LimitCgroup => "limit cgroup",
            Step::EnterCgroup => "enter cgroup",
            Step::MakeTemplate => "make mount template",
            Step::CloneSource => "clone source",
            Step::EnterMountNamespace => "enter mount namespace",
            Step::JoinNamespace => "join namespace",
            Step::MakeNamespace => "make namespace",
            Step::StartChild => "start process",
            Step::MapIds => "map ids",
            Step::MountRoot => "mount root",
            Step::Mount => "mount",
            Step::MakeDevice => "make device",
            Step::MakeLink => "make link",
            Step::MaskPath => "mask path",
            Step::ReadOnlyPath => "make path read-only",
            Step::WriteSysctl => "write sysctl",
            Step::OpenTerminal => "open terminal",
            Step::Landlock => "set up Landlock",
            Step::LockMounts => "lock mounts",
            Step::SetHostname => "set hostname",
            Step::SetStdio => "set standard streams",
            Step::SetLabel => "set LSM label",
            Step::SetKeyring => "set session keyring",
            Step::SetScheduling => "set scheduling",
            Step::SetLimit => "set limit",
            Step::SetIds => "set ids",
            Step::SetCapabilities => "set capabilities",
            Step::InstallSeccomp => "install seccomp filter",
            Step::EnterDirectory => "enter working directory",
            Step::Exec => "exec",
            Step::RunHook => "run hook",
            Step::ReadBack => "read back",
        }
    }
}

/// A failed step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageError {
    pub step: Step,
    pub object: String,
    /// 0 where no system call failed.
    pub errno: i32,
    pub cause: String,
    pub remedy: String,
}

pub type Result<T> = std::result::Result<T, StageError>;

impl StageError {
    pub fn new(step: Step, object: impl ToString, cause: impl ToString) -> StageError {
        StageError {
            step,
            object: object.to_string(),
            errno: 0,
            cause: cause.to_string(),
            remedy: String::new(),
        }
    }

    pub fn os(step: Step, object: impl ToString, error: impl Into<Errno>) -> StageError {
        let errno = error.into();
        StageError {
            step,
            object: object.to_string(),
            errno: errno.raw_os_error(),
            cause: words(errno),
            remedy: String::new(),
        }
    }

    /// A failure that another process of the stage met: its own step is kept where it is known.
    pub fn received(step: Step, failure: &Failure) -> StageError {
        StageError {
            step: Step::ALL
                .into_iter()
                .find(|known| known.name() == failure.step)
                .unwrap_or(step),
            object: failure.object.clone(),
            errno: failure.errno,
            cause: failure.cause.clone(),
            remedy: failure.remedy.clone(),
        }
    }

    #[must_use]
    pub fn remedy(mut self, remedy: impl ToString) -> StageError {
        self.remedy = remedy.to_string();
        self
    }

    /// Puts what was being tried before the cause.
    #[must_use]
    pub fn while_doing(mut self, what: &str) -> StageError {
        self.cause = format!("{what}: {}", self.cause);
        self
    }

    pub fn to_failure(&self) -> Failure {
        Failure {
            step: self.step.name().to_owned(),
            object: self.object.clone(),
            errno: self.errno,
            cause: self.cause.clone(),
            remedy: self.remedy.clone(),
        }
    }
}

impl fmt::Display for StageError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}: {}", self.step.name(), self.object, self.cause)?;
        if self.remedy.is_empty() {
            Ok(())
        } else {
            write!(out, "; {}", self.remedy)
        }
    }
}

impl std::error::Error for StageError {}

/// The kernel's words for an errno, in lower case as other runtimes (and what parses their messages) have them.
pub fn words(errno: Errno) -> String {
    let text = io::Error::from(errno).to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

/// Puts step and object to the error of a system call.
pub trait At<T> {
    fn at(self, step: Step, object: impl ToString) -> Result<T>;
}

impl<T> At<T> for rustix::io::Result<T> {
    fn at(self, step: Step, object: impl ToString) -> Result<T> {
        self.map_err(|errno| StageError::os(step, object, errno))
    }
}

impl<T> At<T> for io::Result<T> {
    fn at(self, step: Step, object: impl ToString) -> Result<T> {
        self.map_err(|error| match Errno::from_io_error(&error) {
            Some(errno) => StageError::os(step, object, errno),
            None => StageError::new(step, object, error),
        })
    }
}
