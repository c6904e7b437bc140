//! The socket that containerd connects to, one per pod: its path, and who may bind it.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sha2::{Digest, Sha256};

use crate::lock;
use crate::problem::{Outcome, Problem};

/// Longest path of a socket, as containerd checks it.
pub const LONGEST_PATH: usize = 106;

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 4096;

/// `<dir>/<sha256 of address, namespace and group>`, as containerd's convention has it.
///
/// # Errors
/// The path is longer than a socket's may be.
pub fn path(dir: &Path, address: &str, namespace: &str, group: &str) -> Outcome<PathBuf> {
    let path = dir.join(key(address, namespace, group));
    let length = path.as_os_str().len();
    if length > LONGEST_PATH {
        return Err(Problem::at(
            "find the socket",
            &path,
            format!("{length} bytes, {LONGEST_PATH} are possible"),
        )
        .remedy("set sockets in [paths] of brig.toml to a shorter directory"));
    }
    Ok(path)
}

/// The pod's key: 64 hex digits.
pub fn key(address: &str, namespace: &str, group: &str) -> String {
    let joined = [address.trim_end_matches('/'), namespace, group].join("/");
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(joined.as_bytes()) {
        for digit in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    hex
}

/// A server at the path, if one is there; the descriptor doesn't block. Nor does this: a server whose queue is full is there,
/// even though the descriptor isn't connected then.
///
/// # Errors
/// Anything but nobody being there.
pub fn connect(path: &Path) -> Outcome<Option<OwnedFd>> {
    let fault = |error: Errno| Problem::at("connect", path, error);
    let socket = stream(SocketFlags::NONBLOCK).map_err(fault)?;
    match rustix::net::connect(&socket, &address_of(path)?) {
        Ok(()) | Err(Errno::AGAIN) => Ok(Some(socket)),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(error) => Err(fault(error)),
    }
}

/// Takes the path for a server of our own: listening from the moment it can be seen, mode 0600, in place of a dead one.
/// To be called under a lock that all who bind this path take.
///
/// # Errors
/// The kernel's.
pub fn listen(path: &Path) -> Outcome<OwnedFd> {
    let fault = |error: Errno| Problem::at("bind", path, error);
    // The name in the making is as long as a key at most, so it fits wherever the final one does.
    let making = path.with_file_name(format!(".new-{}", std::process::id()));
    let socket = stream(SocketFlags::empty()).map_err(fault)?;
    match fs::remove_file(&making) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(Problem::at("bind", &making, error));
        }
        _ => {}
    }
    let address = address_of(&making)?;
    let old_mask = rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o177));
    let bound = rustix::net::bind(&socket, &address);
    rustix::process::umask(old_mask);
    bound.map_err(fault)?;
    rustix::net::listen(&socket, BACKLOG).map_err(fault)?;
    fs::rename(&making, path).map_err(|error| {
        let _ = fs::remove_file(&making);
        Problem::at("bind", path, error)
    })?;
    Ok(socket)
}

/// Removes the name of a socket that nobody serves any more. Under the lock, so that it isn't one that somebody has just bound.
pub fn remove_dead(run: &Path, path: &Path) {
    if let Ok(_lock) = lock::take(&run.join(lock::OF_SOCKETS))
        && matches!(connect(path), Ok(None))
    {
        let _ = fs::remove_file(path);
    }
}

/// Makes a directory that only root looks into, with its parents; one that exists stays as it is.
///
/// # Errors
/// The kernel's.
pub fn private_dir(dir: &Path) -> Outcome<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|error| Problem::at("make the directory", dir, error))
}

fn stream(flags: SocketFlags) -> rustix::io::Result<OwnedFd> {
    rustix::net::socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC | flags,
        None,
    )
}

fn address_of(path: &Path) -> Outcome<SocketAddrUnix> {
    SocketAddrUnix::new(path).map_err(|error| Problem::at("name the socket", path, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_containerds() {
        // printf /run/containerd/containerd.sock/default/c1 | sha256sum
        let path = path(
            Path::new("/run/containerd/s"),
            "/run/containerd/containerd.sock",
            "default",
            "c1",
        )
        .expect("short");
        assert_eq!(
            path,
            Path::new(
                "/run/containerd/s/d25aa4ef11a84e954e74a5bcff06557d0b6ea8d0c00243896f29826694bbd888"
            )
        );
    }

    #[test]
    fn a_path_longer_than_a_sockets_is_told_not_cut() {
        let dir = format!("/{}", "d".repeat(40));
        assert_eq!(
            path(Path::new(&dir), "/a", "n", "g")
                .expect("fits")
                .as_os_str()
                .len(),
            LONGEST_PATH
        );
        let said = path(Path::new(&format!("{dir}d")), "/a", "n", "g")
            .expect_err("too long")
            .to_string();
        assert!(said.contains("107 bytes, 106 are possible"), "{said}");
    }
}
