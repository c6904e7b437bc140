//! Pushing input into a terminal (TIOCSTI).

use crate::report;
use std::process::ExitCode;

pub fn push_character() -> ExitCode {
    let character = b'#';
    // SAFETY: the ioctl reads one byte, which lives on this stack.
    let result = unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const character) };
    report::call("TIOCSTI", libc::c_long::from(result));
    ExitCode::SUCCESS
}
