//! The programs that live for milliseconds: the shim binary's `start`, `delete`, `-info` and `-v`, the starter of brigd,
//! and the thin client behind the `brig` command.

use std::ffi::OsString;
use std::process::ExitCode;

/// Dispatches on the name the program was called by.
pub fn main(_args: Vec<OsString>) -> ExitCode {
    ExitCode::from(70)
}
