//! What execve will need, found out before the barrier with the process's own credentials: its working directory, the file
//! that its first argument names, its environment. The words of the failures are those that clients look for.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use sys::exec::Image;
use wire::plan::Process;

use crate::errors::{At, Result, StageError, Step, words};
use crate::paths;

/// Where programs are looked for when the environment has no PATH.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Longest /etc/passwd that is looked through.
const MAX_PASSWD: u64 = 1 << 20;

/// The plan's environment; where the plan says so, HOME is added from the container's /etc/passwd, as images expect.
pub fn environment(root: &OwnedFd, process: &Process) -> Vec<String> {
    let mut environment = process.env.clone();
    if process.home_from_passwd {
        let home = passwd(root)
            .and_then(|text| home_in(&text, process.uid))
            .unwrap_or_else(|| "/".to_owned());
        environment.push(format!("HOME={home}"));
    }
    environment
}

fn passwd(root: &OwnedFd) -> Option<String> {
    let place = paths::open(root, "/etc/passwd", OFlags::PATH).ok()?;
    let stat = rustix::fs::fstat(&place).ok()?;
    // Anything but a file of reasonable size is not asked: opening it might block.
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile
        || stat.st_size as u64 > MAX_PASSWD
    {
        return None;
    }
    let file = paths::open(
        root,
        "/etc/passwd",
        OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY,
    )
    .ok()?;
    let mut text = vec![0u8; stat.st_size as usize];
    let mut filled = 0;
    while filled < text.len() {
        match rustix::io::read(&file, &mut text[filled..]) {
            Ok(0) | Err(_) => break,
            Ok(length) => filled += length,
        }
    }
    text.truncate(filled);
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// The home directory of a user in the text of a passwd file (passwd(5)).
pub fn home_in(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let id: u32 = fields.nth(2)?.parse().ok()?;
        let home = fields.nth(2)?;
        (id == uid && home.starts_with('/') && !home.contains('\0')).then(|| home.to_owned())
    })
}

/// Goes to the working directory with root's rights; false when those don't suffice and the process's own may.
pub fn enter_directory(root: &OwnedFd, cwd: &str) -> Result<bool> {
    match enter(root, cwd) {
        Ok(()) => Ok(true),
        Err(Errno::ACCESS | Errno::PERM) => Ok(false),
        Err(errno) => Err(failed_to_enter(cwd, errno)),
    }
}

/// The second attempt, and the check that the working directory lies in the container's root.
pub fn finish_directory(root: &OwnedFd, cwd: &str, entered: bool) -> Result<()> {
    if !entered {
        enter(root, cwd).map_err(|errno| failed_to_enter(cwd, errno))?;
    }
    let here = rustix::process::getcwd(Vec::new()).at(Step::EnterDirectory, cwd)?;
    if here.to_bytes().starts_with(b"/") {
        Ok(())
    } else {
        Err(StageError::new(
            Step::EnterDirectory,
            cwd,
            "it lies outside the container's root file system",
        ))
    }
}

fn enter(root: &OwnedFd, cwd: &str) -> rustix::io::Result<()> {
    let cwd = if cwd.is_empty() { "/" } else { cwd };
    let directory = paths::open(root.as_fd(), cwd, OFlags::PATH | OFlags::DIRECTORY)?;
    rustix::process::fchdir(&directory)
}

fn failed_to_enter(cwd: &str, errno: Errno) -> StageError {
    StageError::os(Step::EnterDirectory, cwd, errno)
        .remedy("the working directory must exist in the container")
}

/// The file to execute with its arguments.
pub fn image(process: &Process, environment: Vec<String>) -> Result<Image> {
    let Some(command) = process.args.first().filter(|command| !command.is_empty()) else {
        return Err(StageError::new(Step::Exec, "args", "no command to run"));
    };
    let path = find(command, &environment)?;
    let strings = |strings: &[String]| -> Result<Vec<CString>> {
        strings
            .iter()
            .map(|text| {
                CString::new(text.as_str()).map_err(|_| {
                    StageError::new(
                        Step::Exec,
                        command,
                        "an argument or variable has a NUL byte",
                    )
                })
            })
            .collect()
    };
    let path = strings(std::slice::from_ref(&path))?
        .pop()
        .unwrap_or_default();
    Ok(Image::new(
        path,
        strings(&process.args)?,
        strings(&environment)?,
    ))
}

fn find(command: &str, environment: &[String]) -> Result<String> {
    if command.contains('/') {
        return match executable(command) {
            Ok(()) => Ok(command.to_owned()),
            Err(errno) => Err(not_executable(command, command, errno)),
        };
    }
    let path = environment
        .iter()
        .rev()
        .find_map(|variable| variable.strip_prefix("PATH="))
        .unwrap_or(DEFAULT_PATH);
    let mut denied = None;
    for directory in path.split(':') {
        let directory = if directory.is_empty() { "." } else { directory };
        let candidate = format!("{directory}/{command}");
        match executable(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(Errno::ACCESS) if denied.is_none() => denied = Some(candidate),
            Err(_) => {}
        }
    }
    match denied {
        Some(candidate) => Err(not_executable(command, &candidate, Errno::ACCESS)),
        None => {
            let mut error = StageError::new(
                Step::Exec,
                command,
                format!("exec: {command:?}: executable file not found in $PATH"),
            );
            error.errno = Errno::NOENT.raw_os_error();
            Err(error)
        }
    }
}

/// With the process's own credentials: a regular file that it may execute.
fn executable(path: &str) -> rustix::io::Result<()> {
    let stat = rustix::fs::stat(path)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err(Errno::ISDIR),
        _ => return Err(Errno::ACCESS),
    }
    rustix::fs::accessat(CWD, path, Access::EXEC_OK, AtFlags::EACCESS)?;
    // root may "execute" any file in access(2)'s eyes only if one execute bit is set, as for execve.
    if Mode::from_raw_mode(stat.st_mode).intersects(Mode::XUSR | Mode::XGRP | Mode::XOTH) {
        Ok(())
    } else {
        Err(Errno::ACCESS)
    }
}

fn not_executable(command: &str, path: &str, errno: Errno) -> StageError {
    let mut error = StageError::os(Step::Exec, command, errno);
    error.cause = match errno {
        // A directory is told as what other runtimes say of it, which clients turn into exit code 126.
        Errno::ISDIR => format!("exec: {command:?}: is a directory: permission denied"),
        Errno::ACCESS | Errno::PERM => format!("exec: {path:?}: permission denied"),
        _ => format!("exec: {command:?}: stat {path}: {}", words(errno)),
    };
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn home_is_the_sixth_field_of_the_users_line() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\n\nbroken\nuser:x:1000:1000::/home/user:\n";
        assert_eq!(home_in(passwd, 0).as_deref(), Some("/root"));
        assert_eq!(home_in(passwd, 1000).as_deref(), Some("/home/user"));
        assert_eq!(home_in(passwd, 1), None);
    }

    proptest::proptest! {
        #[test]
        fn no_passwd_file_makes_the_search_fail(text in "\\PC{0,300}", uid: u32) {
            if let Some(home) = home_in(&text, uid) {
                assert!(home.starts_with('/'));
            }
        }
    }

    #[test]
    fn what_is_not_in_path_is_told_in_the_words_clients_look_for() {
        let error = find("no-such-command", &["PATH=/nowhere".to_owned()]).unwrap_err();
        assert_eq!(
            error.cause,
            "exec: \"no-such-command\": executable file not found in $PATH"
        );
    }

    #[test]
    fn a_missing_file_is_told_with_its_name() {
        let error = find("/no/such/file", &[]).unwrap_err();
        assert_eq!(
            error.cause,
            "exec: \"/no/such/file\": stat /no/such/file: no such file or directory"
        );
    }

    #[test]
    fn a_file_without_execute_permission_is_denied() {
        let error = find("/etc/passwd", &[]).unwrap_err();
        assert!(
            error.cause.ends_with("permission denied"),
            "{}",
            error.cause
        );
        let error = find("passwd", &["PATH=/etc".to_owned()]).unwrap_err();
        assert!(
            error.cause.ends_with("permission denied"),
            "{}",
            error.cause
        );
    }
}
