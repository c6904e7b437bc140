//! The keeper as a process of its own, between a containerd and a daemon that the tests play, with stages that run shell
//! commands. Effects are read from the sockets, the FIFOs and the kernel.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod agreed;
mod cgroups;
mod control;
mod door;
mod events;
mod exits;
mod launch;
mod peers;
mod relay;
mod stdio;
mod stuck;
mod support;
mod waits;
