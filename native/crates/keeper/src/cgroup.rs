//! A container's cgroups, as directories that are checked to be cgroups: reading, writing, killing, removing. All but reading
//! is meant for a worker, since it may wait.

use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, fstatfs, open};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wire::keeper::{CgroupContent, CgroupOp, Failure, FileContent, step_result};

use crate::problem::{Outcome, done, explained, failure};

/// CGROUP_SUPER_MAGIC and CGROUP2_SUPER_MAGIC of <linux/magic.h>.
const MAGICS: [i64; 2] = [0x0027_e0eb, 0x6367_7270];

/// Longest content read from, or value written to, a file.
const LONGEST_CONTENT: usize = 1 << 20;
const LONGEST_VALUE: usize = 64 << 10;
/// Most files in one step.
const MOST_FILES: usize = 256;
/// Longest wait for a file's content.
const LONGEST_AWAIT: Duration = Duration::from_secs(60);
/// Passes over a cgroup's processes when a signal goes to all.
const SIGNAL_PASSES: usize = 50;
/// How long processes may take to go after KILL, and directories after them.
pub const KILL_LIMIT: Duration = Duration::from_secs(5);
const REMOVE_LIMIT: Duration = Duration::from_secs(2);
/// Both, with a margin.
pub const LIMIT: Duration = Duration::from_secs(9);
const PAUSE: Duration = Duration::from_millis(2);
/// Deepest nesting that is removed.
const DEEPEST: usize = 64;

/// Whether the path is one of a file beneath these directories.
pub fn is_beneath(path: &str, dirs: &[String]) -> bool {
    let clean = |rest: &str| {
        !rest
            .split('/')
            .any(|part| part.is_empty() || part == "." || part == "..")
    };
    dirs.iter().any(|dir| {
        let rest = path
            .strip_prefix(dir.trim_end_matches('/'))
            .and_then(|rest| rest.strip_prefix('/'));
        dir.starts_with('/') && rest.is_some_and(clean)
    })
}

fn open_checked(path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    let file = open(
        path,
        flags | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    )?;
    #[allow(
        clippy::unnecessary_cast,
        reason = "its type depends on the architecture"
    )]
    let magic = fstatfs(&file)?.f_type as i64;
    if MAGICS.contains(&magic) {
        Ok(file)
    } else {
        Err(Errno::XDEV)
    }
}

fn read_checked(path: &str) -> Result<Vec<u8>, Errno> {
    let file = open_checked(path, OFlags::RDONLY)?;
    read_whole(&file, LONGEST_CONTENT)
}

/// Reads to the end, in reads as large as cgroup files need to be consistent.
pub fn read_whole(file: &OwnedFd, longest: usize) -> Result<Vec<u8>, Errno> {
    let mut content = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        match rustix::io::read(file, &mut buffer) {
            Ok(0) => return Ok(content),
            Ok(count) if content.len() + count > longest => return Err(Errno::FBIG),
            Ok(count) => content.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Refuses what lies outside the container's cgroups or exceeds the bounds.
pub fn check(operation: &CgroupOp, dirs: &[String]) -> Result<(), Failure> {
    let refuse = |path: &str, why: &str| Err(explained("cgroup", path, Errno::PERM, why, ""));
    if operation.writes.len() + operation.reads.len() > MOST_FILES {
        return refuse(&operation.container_id, "too many files in one step");
    }
    let written = operation.writes.iter().map(|write| write.path.as_str());
    let read = operation.reads.iter().map(String::as_str);
    let awaited = Some(operation.await_file.as_str()).filter(|path| !path.is_empty());
    for path in written.chain(read).chain(awaited) {
        if !is_beneath(path, dirs) {
            return refuse(path, "not beneath the container's cgroup directories");
        }
    }
    match operation
        .writes
        .iter()
        .find(|write| write.value.len() > LONGEST_VALUE)
    {
        Some(write) => refuse(&write.path, "the value is too long"),
        None => Ok(()),
    }
}

/// Writes, waits, reads.
pub fn operate(operation: &CgroupOp) -> Outcome {
    for write in &operation.writes {
        let result = open_checked(&write.path, OFlags::WRONLY)
            .and_then(|file| rustix::io::write(file, write.value.as_bytes()));
        match result {
            Err(Errno::NOENT) if write.ignore_missing => {}
            Err(error) => return Err(failure("write cgroup", &write.path, error)),
            Ok(_) => {}
        }
    }
    if !operation.await_file.is_empty() {
        await_content(operation)?;
    }
    let mut files = Vec::with_capacity(operation.reads.len());
    for path in &operation.reads {
        files.push(match read_checked(path) {
            Ok(content) => FileContent {
                content,
                exists: true,
                errno: 0,
            },
            Err(Errno::NOENT | Errno::NODEV) => FileContent::default(),
            // Our own refusals: no cgroup's file (and no link to one), or more than is taken.
            Err(error @ (Errno::XDEV | Errno::LOOP | Errno::FBIG)) => {
                return Err(failure("read cgroup", path, error));
            }
            Err(error) => FileContent {
                errno: error.raw_os_error(),
                ..FileContent::default()
            },
        });
    }
    Ok(step_result::Result::Cgroup(CgroupContent { files }))
}

fn await_content(operation: &CgroupOp) -> Result<(), Failure> {
    let path = &operation.await_file;
    let end =
        Instant::now() + Duration::from_millis(operation.await_millis.into()).min(LONGEST_AWAIT);
    let wanted = operation.await_content.as_bytes();
    loop {
        let content = read_checked(path).map_err(|error| failure("read cgroup", path, error))?;
        if wanted.is_empty() || content.windows(wanted.len()).any(|part| part == wanted) {
            return Ok(());
        }
        if Instant::now() >= end {
            let have = String::from_utf8_lossy(&content).trim().to_owned();
            let cause = format!("still \"{have}\" after {} ms", operation.await_millis);
            return Err(explained("await cgroup", path, Errno::TIMEDOUT, cause, ""));
        }
        std::thread::sleep(PAUSE);
    }
}

/// All processes in these directories and the ones nested in them.
pub fn processes(dirs: &[String]) -> Vec<i32> {
    let mut pids = BTreeSet::new();
    for dir in dirs {
        collect(dir, DEEPEST, &mut pids);
    }
    pids.into_iter().collect()
}

fn collect(dir: &str, depth: usize, pids: &mut BTreeSet<i32>) {
    let listed = read_checked(&format!("{dir}/cgroup.procs")).unwrap_or_default();
    pids.extend(
        String::from_utf8_lossy(&listed)
            .lines()
            .filter_map(|line| line.parse::<i32>().ok())
            .filter(|pid| *pid > 0),
    );
    if depth > 0 {
        for nested in nested(dir) {
            collect(&nested, depth - 1, pids);
        }
    }
}

fn nested(dir: &str) -> Vec<String> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.filter_map(|entry| entry.path().to_str().map(str::to_owned))
        .collect()
}

/// Sends a signal to all processes but one that has got it already, again to those that appear meanwhile; ESRCH if there is none.
pub fn signal_all(dirs: &[String], signal: Signal, spared: i32) -> Outcome {
    let mut seen = BTreeSet::from([spared]);
    if signal == Signal::KILL && !processes(dirs).is_empty() && kill_at_once(dirs) {
        return done();
    }
    for _ in 0..SIGNAL_PASSES {
        let before = seen.len();
        for pid in processes(dirs) {
            if seen.insert(pid) {
                signal_member(pid, dirs, signal)?;
            }
        }
        if seen.len() == before {
            break;
        }
    }
    match seen.len() == 1 {
        true => Err(explained(
            "signal",
            "container",
            Errno::SRCH,
            "no process is left",
            "",
        )),
        false => done(),
    }
}

/// Kills everything with one write per directory where the kernel has it (cgroup v2, 5.14).
fn kill_at_once(dirs: &[String]) -> bool {
    let write = |dir: &String| {
        let file = open_checked(&format!("{dir}/cgroup.kill"), OFlags::WRONLY)?;
        rustix::io::write(file, b"1")
    };
    !dirs.is_empty() && dirs.iter().all(|dir| write(dir).is_ok())
}

/// Signals a process if, once it is held by a pidfd, it still is in the cgroup.
fn signal_member(pid: i32, dirs: &[String], signal: Signal) -> Result<(), Failure> {
    let Some(number) = Pid::from_raw(pid) else {
        return Ok(());
    };
    let sent = pidfd_open(number, PidfdFlags::empty()).and_then(|pidfd| {
        if !processes(dirs).contains(&pid) {
            return Err(Errno::SRCH);
        }
        pidfd_send_signal(&pidfd, signal)
    });
    match sent {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(failure("signal", format_args!("pid {pid}"), error)),
    }
}

/// Kills all processes and waits until they are gone; a failure names those that would not go.
pub fn kill_all(dirs: &[String], limit: Duration) -> Result<(), Failure> {
    let end = Instant::now() + limit;
    loop {
        let left = processes(dirs);
        if left.is_empty() {
            return Ok(());
        }
        if !kill_at_once(dirs) {
            for pid in &left {
                signal_member(*pid, dirs, Signal::KILL)?;
            }
        }
        if Instant::now() >= end {
            let states = left.iter().map(|pid| {
                let state = crate::record::process_state(*pid).unwrap_or('?');
                format!("pid {pid} in state {state}")
            });
            let cause = format!(
                "{} would not die in {limit:?}",
                states.collect::<Vec<_>>().join(", ")
            );
            let remedy = "D: it waits for a device or a file system; T or a frozen cgroup: thaw it";
            return Err(explained(
                "kill",
                dirs.join(" "),
                Errno::BUSY,
                cause,
                remedy,
            ));
        }
        std::thread::sleep(PAUSE);
    }
}

/// Kills what is in the directories, then removes them with what is nested in them. Directories that are not there are fine.
pub fn kill_and_remove(dirs: &[String]) -> Outcome {
    thaw(dirs);
    kill_all(dirs, KILL_LIMIT)?;
    let end = Instant::now() + REMOVE_LIMIT;
    for dir in dirs {
        while let Err(error) = remove(dir, DEEPEST) {
            if error != Errno::BUSY || Instant::now() >= end {
                return Err(failure("remove cgroup", dir, error));
            }
            std::thread::sleep(PAUSE);
        }
    }
    done()
}

/// A frozen process of cgroup v1 does not die: its freezer is opened first.
fn thaw(dirs: &[String]) {
    for dir in dirs {
        if let Ok(file) = open_checked(&format!("{dir}/freezer.state"), OFlags::WRONLY) {
            let _ = rustix::io::write(file, b"THAWED");
        }
    }
}

fn remove(dir: &str, depth: usize) -> Result<(), Errno> {
    match rustix::fs::rmdir(dir) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::BUSY | Errno::NOTEMPTY) if depth > 0 => {}
        Err(error) => return Err(error),
    }
    for nested in nested(dir) {
        remove(&nested, depth - 1)?;
    }
    match rustix::fs::rmdir(dir) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error),
    }
}

/// Which of the directories exist.
pub fn existing(dirs: &[String]) -> Vec<String> {
    dirs.iter()
        .filter(|dir| Path::new(dir).is_dir())
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_beneath_the_container_s_directories_are_touched() {
        let dirs = ["/sys/fs/cgroup/a/".to_owned()];
        assert!(is_beneath("/sys/fs/cgroup/a/memory.max", &dirs));
        assert!(is_beneath("/sys/fs/cgroup/a/b/cgroup.procs", &dirs));
        for path in [
            "/sys/fs/cgroup/a",
            "/sys/fs/cgroup/ab/x",
            "/sys/fs/cgroup/a/../b/x",
            "/sys/fs/cgroup/a//x",
            "/sys/fs/cgroup/a/./x",
            "/etc/passwd",
            "",
        ] {
            assert!(!is_beneath(path, &dirs), "{path}");
        }
        assert!(!is_beneath("x", &["".to_owned()]));
    }

    #[test]
    fn a_file_that_is_not_on_a_cgroup_file_system_is_refused() {
        let dir = std::env::temp_dir();
        assert_eq!(read_checked("/proc/self/stat"), Err(Errno::XDEV));
        assert_eq!(processes(&[dir.display().to_string()]), []);
    }
}
