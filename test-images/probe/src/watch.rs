//! A watcher over the processes that pass by: an exec helper that can be caught with the host's binary or directories is a
//! way out. Looks at each new process's exe and descriptors, and tries to open what it finds.

use crate::{errno, report};
use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::process::ExitCode;
use std::time::{Duration, Instant};

pub fn run(arguments: &[String]) -> ExitCode {
    let Some(seconds) = arguments.first().and_then(|text| text.parse::<u64>().ok()) else {
        return ExitCode::from(2);
    };
    let Ok(own) = fs::metadata("/proc/self/exe").map(|about| device_and_inode(&about)) else {
        return ExitCode::FAILURE;
    };
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut told = HashSet::new();
    println!("watching");
    let mut looks = 0_u64;
    while Instant::now() < end {
        looks += 1;
        let Ok(processes) = fs::read_dir("/proc") else {
            return ExitCode::FAILURE;
        };
        for process in processes.flatten() {
            let name = process.file_name().to_string_lossy().into_owned();
            if name.chars().all(|digit| digit.is_ascii_digit()) {
                look(&name, own, &mut told);
            }
        }
    }
    report::line("looks", "ok", &looks.to_string());
    ExitCode::SUCCESS
}

fn look(process: &str, own: (u64, u64), told: &mut HashSet<String>) {
    let exe = format!("/proc/{process}/exe");
    if let Ok(about) = fs::metadata(&exe) {
        // Whatever isn't a file of this root is the host's.
        if device_and_inode(&about) != own && is_foreign(&exe, &about) {
            let writable = match fs::OpenOptions::new().write(true).open(&exe) {
                Ok(_) => "ok".to_string(),
                Err(error) => errno::of(&error),
            };
            tell(told, "foreign exe", &writable, &target(&exe));
        }
    }
    let Ok(descriptors) = fs::read_dir(format!("/proc/{process}/fd")) else {
        return;
    };
    for descriptor in descriptors.flatten() {
        let path = descriptor.path().to_string_lossy().into_owned();
        if let Ok(about) = fs::metadata(&path)
            && about.is_dir()
            && is_foreign(&path, &about)
        {
            let climbed = fs::read_dir(format!("{path}/.."))
                .map_or_else(|error| errno::of(&error), |_| "ok".to_string());
            tell(told, "foreign directory", &climbed, &target(&path));
        }
    }
}

/// Whether the link leads to a file that the path it shows doesn't lead to from here. A link whose process has ended meanwhile
/// leads nowhere.
fn is_foreign(link: &str, about: &fs::Metadata) -> bool {
    const ESRCH: i32 = 3;
    match fs::read_link(link) {
        Err(error)
            if error.kind() == ErrorKind::NotFound || error.raw_os_error() == Some(ESRCH) =>
        {
            false
        }
        path => !path
            .and_then(fs::metadata)
            .is_ok_and(|here| device_and_inode(&here) == device_and_inode(about)),
    }
}

fn target(link: &str) -> String {
    fs::read_link(link).map_or_else(
        |error| errno::of(&error),
        |path| path.to_string_lossy().into_owned(),
    )
}

fn tell(told: &mut HashSet<String>, what: &str, result: &str, detail: &str) {
    if told.insert(format!("{what} {result} {detail}")) {
        report::line(what, result, detail);
    }
}

fn device_and_inode(about: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (about.dev(), about.ino())
}
