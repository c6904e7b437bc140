//! Raw system calls that neither std nor rustix offers safely: the one place, with the stage's lowest layer, where
//! `unsafe` stands. Each function states what the kernel promises; none takes a decision.

pub mod process;
