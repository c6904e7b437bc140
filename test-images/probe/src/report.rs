//! One line per attempt.

use crate::errno;

/// Prints how a call that answers -1 on failure went.
pub fn call(name: &str, result: libc::c_long) {
    if result < 0 {
        line(name, &errno::last(), "");
    } else {
        line(name, "ok", &result.to_string());
    }
}

pub fn line(name: &str, result: &str, detail: &str) {
    println!("{name}\t{result}\t{detail}");
}
