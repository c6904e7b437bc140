//! The keeper, one per pod: parent and subreaper of all the pod's processes, holder of everything that has an effect when
//! closed, relay between containerd and brigd, and the place where exactly-once lives (see keeper.proto).
//!
//! One thread and one loop (`keeper`) that never waits for anything but the loop: what may hang (stages, hooks, files on
//! foreign file systems, cgroup writes) is done by forked children. It takes no decision of its own but two: it answers from
//! its record when the daemon doesn't, and it keeps bounds.

mod account;
mod after_exec;
mod barrier;
mod birth;
mod cgroup;
mod client;
mod containerd;
mod control;
mod deframe;
mod domain;
mod door;
mod drops;
mod exits;
#[cfg(fuzzing)]
pub mod fuzzing;
mod host;
mod keeper;
mod late_readers;
mod launch;
mod leave;
pub mod leftovers;
mod link;
mod local;
mod log;
mod logger;
mod oom;
mod outbox;
mod outside;
mod peer;
mod pod;
mod problem;
mod publisher;
mod pump;
mod reactor;
pub mod record;
mod requests;
mod route;
mod stages;
mod stdio;
mod steps;
mod target;
pub mod timeline;
mod ttrpc;
pub mod weight;
mod worker;

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

pub use birth::{Birth, fork};
pub use host::cgroup_dirs;
use stage::{Making, StageArgs};

/// What the launcher hands to the keeper it forks.
pub struct KeeperArgs {
    /// Listening socket for containerd's connections, already bound at `socket_path`.
    pub listener: OwnedFd,
    /// What [`fork`] gave.
    pub birth: Birth,
    pub socket_path: PathBuf,
    /// containerd's gRPC address (`-address`), its namespace, the pod's group id.
    pub containerd_address: String,
    pub namespace: String,
    pub group: String,
    /// `TTRPC_ADDRESS`: where events go.
    pub events_address: PathBuf,
    pub class_name: String,
    /// containerd calls this pod over gRPC, which the daemon serves (`door`).
    pub grpc: bool,
    /// Cgroups to run in instead of the keepers' own, at most one per hierarchy ([`cgroup_dirs`]).
    pub cgroups: Vec<PathBuf>,
    /// Run directory (`/run/brig`): brigd.sock and pods/ are beneath it.
    pub run_dir: PathBuf,
    pub floor_dir: PathBuf,
    /// Bundle of the pod's first container; its `log` FIFO takes the keeper's log lines.
    pub bundle: PathBuf,
    pub debug: bool,
    /// Starts brigd if none runs; called (in a child of the keeper) when its socket refuses (launcher crate).
    pub start_daemon: fn(&std::path::Path) -> std::io::Result<()>,
}

/// The keeper's patience, and what it forks as a stage. The default is the product's; tests bring their own.
pub struct Tuning {
    /// Body of a forked stage.
    pub stage: fn(StageArgs) -> !,
    /// Begins to make what all stages start from, once.
    pub template: fn() -> Result<Option<Making>, String>,
    /// The daemon's time to answer State, Connect, Pids and Wait before the keeper does.
    pub absence: Duration,
    /// Time after an exit in which output may still be passed on.
    pub drain: Duration,
    /// A keeper that has nothing to keep ends after this time.
    pub idle: Duration,
    /// Longest silence in the middle of a frame.
    pub frame_silence: Duration,
    /// The daemon's time to say Welcome.
    pub greeting: Duration,
    /// containerd's time to take one event.
    pub forward: Duration,
    /// Whether the keeper leaves the cgroups it was started in.
    pub leave_cgroups: bool,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning {
            stage: stage::run,
            template: || Making::begin().map(Some).map_err(|error| error.to_string()),
            absence: Duration::from_millis(500),
            drain: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            frame_silence: Duration::from_secs(30),
            greeting: Duration::from_secs(10),
            forward: Duration::from_secs(5),
            leave_cgroups: true,
        }
    }
}

/// Runs the keeper in a process freshly made by [`fork`] (own session, descriptors 0-2 on /dev/null) and never returns.
pub fn run(args: KeeperArgs) -> ! {
    run_with(args, Tuning::default())
}

/// [`run`] with another patience and another stage.
pub fn run_with(args: KeeperArgs, tuning: Tuning) -> ! {
    std::process::exit(keeper::main(args, tuning))
}
