//! Faults of the host on purpose, by the kernel's own means: chosen system calls of Brig's processes fail or take long.
//!
//! A program called `containerd-shim-CLASS-v2` that is this one (a link to it, ahead of the real one in containerd's PATH) puts
//! itself under a filter that asks about the calls in `calls`, hands the filter's listener to the process that runs
//! `brig-probe faults SOCKET`, and executes the real shim. What the shim starts inherits that: keeper, stages, supervisor, brigd.
//! Whoever runs `faults` says on its standard input which call of whom shall fail, and how.

mod calls;
mod server;
mod shim;
mod who;

pub use server::run;
pub use shim::run as run_shim;
