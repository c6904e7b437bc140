//! The keeper, one per pod: parent and subreaper of all the pod's processes, holder of everything that has an effect when
//! closed, relay between containerd and brigd, and the place where exactly-once lives (see keeper.proto).

use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// What the launcher hands to the keeper it forks.
pub struct KeeperArgs {
    /// Listening socket for containerd's connections, already bound at `socket_path`.
    pub listener: OwnedFd,
    pub socket_path: PathBuf,
    /// containerd's gRPC address (`-address`), its namespace, the pod's group id.
    pub containerd_address: String,
    pub namespace: String,
    pub group: String,
    /// `TTRPC_ADDRESS`: where events go.
    pub events_address: PathBuf,
    pub class_name: String,
    /// Run directory (`/run/brig`): brigd.sock and pods/ are beneath it.
    pub run_dir: PathBuf,
    pub floor_dir: PathBuf,
    /// Bundle of the pod's first container; its `log` FIFO takes the keeper's log lines.
    pub bundle: PathBuf,
    pub debug: bool,
    /// Starts brigd if none runs; called when its socket refuses (launcher crate).
    pub start_daemon: fn(&std::path::Path) -> std::io::Result<()>,
}

/// Runs the keeper in a freshly forked process (own session, descriptors 0-2 on /dev/null) and never returns.
pub fn run(_args: KeeperArgs) -> ! {
    std::process::exit(70)
}
