//! Files that must not open, must be empty, or must not be there.

use crate::{errno, report};
use std::ffi::CString;
use std::fs;
use std::io::Read;
use std::process::ExitCode;

/// Opens for writing, writes nothing.
pub fn open_write(paths: &[String]) -> ExitCode {
    for path in paths {
        match fs::OpenOptions::new().write(true).open(path) {
            Ok(_) => report::line(path, "ok", ""),
            Err(error) => report::line(path, &errno::of(&error), ""),
        }
    }
    ExitCode::SUCCESS
}

/// `ok` if the file (or directory) reads as empty.
pub fn read_empty(paths: &[String]) -> ExitCode {
    for path in paths {
        let result = match fs::metadata(path) {
            Err(error) => errno::of(&error),
            Ok(about) if about.is_dir() => match fs::read_dir(path).map(Iterator::count) {
                Ok(0) => "ok".to_string(),
                Ok(count) => format!("{count} entries"),
                Err(error) => errno::of(&error),
            },
            Ok(_) => first_byte(path),
        };
        report::line(path, &result, "");
    }
    ExitCode::SUCCESS
}

fn first_byte(path: &str) -> String {
    let mut byte = [0_u8; 1];
    match fs::File::open(path).and_then(|mut file| file.read(&mut byte)) {
        Ok(0) => "ok".to_string(),
        Ok(_) => "not empty".to_string(),
        Err(error) => errno::of(&error),
    }
}

/// Makes `MAJOR:MINOR:KIND` nodes in the working directory and opens each for reading.
pub fn make_nodes(wanted: &[String]) -> ExitCode {
    for (number, node) in wanted.iter().enumerate() {
        let parts: Vec<&str> = node.split(':').collect();
        let (Some(major), Some(minor), Some(kind)) = (
            parts.first().and_then(|text| text.parse().ok()),
            parts.get(1).and_then(|text| text.parse().ok()),
            parts.get(2),
        ) else {
            return ExitCode::from(2);
        };
        let mode = if *kind == "b" {
            libc::S_IFBLK
        } else {
            libc::S_IFCHR
        } | 0o666;
        let Ok(path) = CString::new(format!("probe-node-{number}")) else {
            return ExitCode::from(2);
        };
        // SAFETY: path is a C string.
        let made = unsafe { libc::mknod(path.as_ptr(), mode, libc::makedev(major, minor)) };
        let creation = if made < 0 {
            errno::last()
        } else {
            "ok".to_string()
        };
        if made < 0 {
            report::line(node, "not made", &creation);
            continue;
        }
        // SAFETY: path is a C string.
        let opened = unsafe {
            libc::open(
                path.as_ptr(),
                libc::O_RDONLY | libc::O_NONBLOCK | libc::O_CLOEXEC,
            )
        };
        report::call(node, libc::c_long::from(opened));
        // SAFETY: path is a C string, and the descriptor, if there is one, is ours.
        unsafe {
            if opened >= 0 {
                libc::close(opened);
            }
            libc::unlink(path.as_ptr());
        }
    }
    ExitCode::SUCCESS
}

/// What this process was given.
pub fn descriptors() -> ExitCode {
    let own = match fs::read_dir("/proc/self/fd") {
        Ok(entries) => entries,
        Err(error) => {
            report::line("/proc/self/fd", &errno::of(&error), "");
            return ExitCode::FAILURE;
        }
    };
    let mut names: Vec<String> = own
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_by_key(|name| name.parse::<u32>().unwrap_or_default());
    for name in names {
        // The descriptor of the listing itself is gone by now.
        if let Ok(target) = fs::read_link(format!("/proc/self/fd/{name}")) {
            report::line(&name, "ok", &target.to_string_lossy());
        }
    }
    ExitCode::SUCCESS
}
