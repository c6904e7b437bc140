//! The stage: a short-lived process, forked by the keeper for each create and exec, that opens sources, builds what a
//! launch plan says and hands back a process standing at its barrier before `execve`. It may hang (a mount that never
//! returns) without harm to anyone else. Runs with init credentials; everything it reads from the keeper was decided by brigd.

mod bounds;
mod cgroup;
mod child;
mod create;
mod devices;
mod errors;
mod exec;
mod floor;
mod fresh;
#[cfg(fuzzing)]
pub mod fuzzing;
mod helper;
mod hook_runner;
mod hooks;
mod host_view;
mod idmap;
mod landlock;
mod launch;
mod limits;
mod link;
mod loop_device;
mod masks;
mod mountinfo;
mod mounts;
mod namespaces;
mod packets;
mod paths;
mod placeholder;
mod procfs;
mod readback;
mod restart;
mod rootfs;
mod seccomp;
mod seccomp_agent;
mod serve;
mod sources;
mod sysctls;
mod template;
mod terminal;
mod trace;
mod undo;
mod way;
mod workshop;

use std::os::fd::{AsRawFd, OwnedFd};

pub use errors::{StageError, Step};
pub use serve::run_hooks;
pub use template::{Making, MountOrder, Template};

use errors::{At, Result};
use placeholder::Placeholder;
use procfs::Procfs;
use sources::Handles;

/// What a stage is born with.
pub struct StageArgs {
    /// Stream socket to the keeper (`ToStage`/`FromStage` frames).
    pub control: OwnedFd,
    pub class: Class,
    /// The empty mount namespace to start from. A keeper makes one for all its stages (`Template::make`); without it each
    /// stage makes its own, which costs a copy of the host's mounts.
    pub template: Option<Template>,
}

/// The runtime class that all plans of a stage must be of, whatever they say, and where the floors of classes lie.
#[derive(Clone, Debug)]
pub struct Class {
    pub name: String,
    pub floor_dir: std::path::PathBuf,
}

/// Runs the stage in a freshly forked process and never returns. Closes every descriptor but 0 to 2 and those of `args` first.
pub fn run(args: StageArgs) -> ! {
    let mut kept = vec![args.control.as_raw_fd()];
    if let Some(template) = &args.template {
        kept.extend([
            template.mount_namespace.as_raw_fd(),
            template.probe_user_namespace.as_raw_fd(),
        ]);
    }
    let closed = sys::process::close_all_but(&kept).at(Step::Request, "close descriptors");
    let StageArgs {
        control,
        class,
        template,
    } = args;
    let stage = closed.and_then(|()| Stage::new(template));
    serve::serve(&control, &class, stage);
    sys::process::exit_now(0)
}

/// The name under which the program is executed to go on as a stage; then `resume` takes its one argument.
pub const PROGRAM_NAME: &str = restart::NAME;

/// Goes on where a stage executed its program anew (module `restart`), and never returns.
pub fn resume(argument: &str) -> ! {
    let Some(baggage) = restart::arrive(argument) else {
        sys::process::exit_now(64)
    };
    let stage = Stage::new(Some(baggage.template)).map(|stage| Stage {
        handles: baggage.handles,
        placeholder: baggage.placeholder,
        read_only_program: true,
        ..stage
    });
    match stage {
        Ok(stage) => {
            serve::execute_plan(
                &baggage.control,
                &baggage.class,
                &stage,
                baggage.execute,
                baggage.descriptors,
            );
        }
        Err(error) => serve::refuse(&baggage.control, &error),
    }
    sys::process::exit_now(0)
}

/// The stage's own state.
struct Stage {
    procfs: Procfs,
    template: Template,
    handles: Handles,
    /// Stands in a cgroup that somebody else makes, until the container's process is in there.
    placeholder: Option<Placeholder>,
    /// Highest capability the kernel knows.
    last_capability: u32,
    /// The program that runs was executed from a read-only mount of it.
    read_only_program: bool,
}

impl Stage {
    fn new(template: Option<Template>) -> Result<Stage> {
        protect()?;
        rustix::process::umask(rustix::fs::Mode::empty());
        let procfs = Procfs::pin(Step::Request)?;
        let last = procfs
            .read("sys/kernel/cap_last_cap")
            .at(Step::Request, "cap_last_cap")?;
        let last_capability = last.trim().parse().unwrap_or(63).min(63);
        let template = match template {
            Some(template) => template,
            None => Template::make(None)?,
        };
        Ok(Stage {
            procfs,
            template,
            handles: Handles::default(),
            placeholder: None,
            last_capability,
            read_only_program: false,
        })
    }
}

/// SIGKILL when the parent dies, and no looking into this process's memory. Every change of credentials undoes both, so this
/// is called after each.
fn protect() -> Result<()> {
    sys::credentials::set_dumpable(false).at(Step::StartChild, "not dumpable")?;
    sys::credentials::die_with_parent().at(Step::StartChild, "end with the keeper")
}
