//! Raw system calls that neither std nor rustix offers safely: the one place, with the stage's lowest layer, where
//! `unsafe` stands. Each function states what the kernel promises; none takes a decision.

pub mod bpf;
pub mod children;
pub mod clone;
pub mod credentials;
pub mod exec;
pub mod heap;
pub mod keyring;
pub mod landlock;
pub mod links;
pub mod loops;
pub mod mounts;
pub mod namespaces;
pub mod peer;
pub mod process;
pub mod scheduling;
pub mod seccomp;
pub mod shortage;
