//! The one native program: its name decides whether it is a shim, the daemon's starter, the `brig` command, or a stage that
//! had to execute its own program anew.
//!
//! It has no `main` of Rust's: what the standard library sets up before one (a handler and a stack of its own for overflows, for
//! which the C library's part is 120 kB) is nothing that a keeper needs. What is needed of it is done here.

#![no_main]

use std::ffi::{OsString, c_char, c_int};
use std::io::Write;

/// Called by the C library. The arguments are std's as well, which has them from the same place.
#[unsafe(no_mangle)]
extern "C" fn main(_count: c_int, _arguments: *const *const c_char) -> c_int {
    sys::process::open_standard_descriptors();
    // A peer or a reader that has gone is an error of the write alone.
    sys::children::ignore_sigpipe();
    let args: Vec<OsString> = std::env::args_os().collect();
    if let [name, argument] = args.as_slice()
        && name == stage::PROGRAM_NAME
    {
        stage::resume(&argument.to_string_lossy())
    }
    let status = launcher::main(args);
    let _ = std::io::stdout().flush();
    status.into()
}
