//! The launcher's one error: what was being done, to what, why it failed, and what would help. Told once, at the edge.

use std::fmt;
use std::path::Path;

/// A failed step.
#[derive(Debug, PartialEq, Eq)]
pub struct Problem {
    step: &'static str,
    object: String,
    cause: String,
    remedy: String,
}

/// What the launcher's functions give.
pub type Outcome<T> = Result<T, Problem>;

impl Problem {
    /// A failure of `step` on `object`.
    pub fn new(step: &'static str, object: impl Into<String>, cause: impl fmt::Display) -> Self {
        let mut problem = Self {
            step,
            object: object.into(),
            cause: cause.to_string(),
            remedy: String::new(),
        };
        if let Some(remedy) = problem.errno().and_then(sys::shortage::remedy) {
            problem.remedy = remedy.to_owned();
        }
        problem
    }

    /// A failure of `step` on the file or directory `path`.
    pub fn at(step: &'static str, path: &Path, cause: impl fmt::Display) -> Self {
        let problem = Self::new(step, path.display().to_string(), cause);
        match problem.errno().and_then(sys::shortage::remedy_of_write) {
            Some(remedy) => problem.remedy(remedy),
            None => problem,
        }
    }

    /// The error number that the standard library puts at the end of its words.
    fn errno(&self) -> Option<i32> {
        let (_, number) = self.cause.rsplit_once("(os error ")?;
        number.strip_suffix(')')?.parse().ok()
    }

    /// The same with advice.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = remedy.into();
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.step, self.object, self.cause)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for std::io::Error {
    fn from(problem: Problem) -> Self {
        Self::other(problem)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_is_full_is_told_with_what_would_help() {
        let full = std::io::Error::from_raw_os_error(libc::ENOSPC);
        let said = Problem::at("write", Path::new("/run/x"), full).to_string();
        assert!(said.starts_with("write: /run/x: No space left on device"));
        assert!(said.ends_with("(make room in its file system, for bytes and for files)"));
        let other = std::io::Error::from_raw_os_error(libc::ENOENT);
        let said = Problem::at("write", Path::new("/run/x"), other).to_string();
        assert!(said.ends_with("(os error 2)"));
    }
}
