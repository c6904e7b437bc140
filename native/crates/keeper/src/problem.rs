//! Failures as the contract tells them: step, object, cause, remedy.

use std::fmt::Display;
use std::io;

use rustix::io::Errno;
use wire::keeper::{Failure, step_result};

/// What a step comes to.
pub type Outcome = Result<step_result::Result, Failure>;

/// A failure that the kernel explains.
pub fn failure(step: &str, object: impl Display, error: Errno) -> Failure {
    let remedy = sys::shortage::remedy(error.raw_os_error()).unwrap_or_default();
    explained(step, object, error, cause(error), remedy)
}

/// A failure with a cause of its own.
pub fn explained(
    step: &str,
    object: impl Display,
    error: Errno,
    cause: impl Display,
    remedy: &str,
) -> Failure {
    Failure {
        step: step.to_owned(),
        object: object.to_string(),
        errno: error.raw_os_error(),
        cause: cause.to_string(),
        remedy: remedy.to_owned(),
    }
}

/// The same for an error of the standard library.
pub fn failed_io(step: &str, object: impl Display, error: &io::Error) -> Failure {
    match error.raw_os_error() {
        Some(number) => failure(step, object, Errno::from_raw_os_error(number)),
        None => explained(step, object, Errno::IO, error, ""),
    }
}

/// The same for a file that could not be written.
pub fn failed_write(step: &str, object: impl Display, error: &io::Error) -> Failure {
    remedied(
        failed_io(step, object, error),
        sys::shortage::remedy_of_write,
    )
}

/// The same for a child that could not be forked.
pub fn failed_fork(step: &str, object: impl Display, error: &io::Error) -> Failure {
    remedied(
        failed_io(step, object, error),
        sys::shortage::remedy_of_fork,
    )
}

fn remedied(mut failure: Failure, remedy: fn(i32) -> Option<&'static str>) -> Failure {
    if let Some(remedy) = remedy(failure.errno) {
        failure.remedy = remedy.to_owned();
    }
    failure
}

/// The kernel's words for it, without the number.
pub fn cause(error: Errno) -> String {
    let text = io::Error::from(error).to_string();
    match text.find(" (os error") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// "<step>: <object>: <cause>; <remedy>"
pub fn text(failure: &Failure) -> String {
    let mut text = format!("{}: {}: {}", failure.step, failure.object, failure.cause);
    if !failure.remedy.is_empty() {
        text.push_str("; ");
        text.push_str(&failure.remedy);
    }
    text
}

pub fn done() -> Outcome {
    Ok(step_result::Result::Done(wire::keeper::Done::default()))
}
