//! The program inside: asks the kernel for things and prints what it answers.

use std::process::ExitCode;

pub fn main(arguments: &[String]) -> ExitCode {
    match arguments.first().map(String::as_str) {
        Some("exit") => ExitCode::from(arguments[1].parse::<u8>().unwrap()),
        other => {
            eprintln!("no such probe: {other:?}");
            ExitCode::FAILURE
        }
    }
}
