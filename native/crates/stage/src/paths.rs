//! Paths inside a container's root: resolved by the kernel beneath the root's descriptor, once, to a descriptor. Links in the
//! image lead where they would lead the container; magic links lead nowhere.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// Most links followed while a missing path is made.
const MAX_LINKS: usize = 40;
/// Mode of directories made on the way.
const DIRECTORY_MODE: Mode = Mode::from_raw_mode(0o755);

/// What must be at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    Directory,
    File,
}

/// Resolves an existing path; the last part too is followed if it is a link, unless `flags` say NOFOLLOW.
pub fn open(root: impl AsFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    resolve(root.as_fd(), path, flags, ResolveFlags::IN_ROOT)
}

/// Resolves an existing path in which nothing may be a link.
pub fn open_plain(root: impl AsFd, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    resolve(
        root.as_fd(),
        path,
        flags,
        ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS,
    )
}

fn resolve(
    root: BorrowedFd<'_>,
    path: &str,
    flags: OFlags,
    how: ResolveFlags,
) -> rustix::io::Result<OwnedFd> {
    let path = if path.is_empty() { "/" } else { path };
    // EAGAIN: a rename somewhere in the system raced with "..": bounded repetition, as openat2(2) advises.
    for _ in 0..64 {
        match rustix::fs::openat2(
            root,
            path,
            flags | OFlags::CLOEXEC,
            Mode::empty(),
            how | ResolveFlags::NO_MAGICLINKS,
        ) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return result,
        }
    }
    Err(Errno::AGAIN)
}

/// An O_PATH descriptor of the file or directory at `path`, made (with its parents) if missing.
pub fn open_or_make(root: impl AsFd, path: &str, target: Target) -> rustix::io::Result<OwnedFd> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        match open(&root, &path, OFlags::PATH) {
            Err(Errno::NOENT) => {}
            Ok(found) => return check(found, target),
            Err(errno) => return Err(errno),
        }
        match make(root.as_fd(), &path, target)? {
            Made::Found(found) => return check(found, target),
            Made::LeadsTo(other) => path = other,
        }
    }
    Err(Errno::LOOP)
}

/// The parent directory of `path` (made if missing) and the last part's name, for making something there by name.
pub fn parent_of(root: impl AsFd, path: &str) -> rustix::io::Result<(OwnedFd, String)> {
    let trimmed = path.trim_end_matches('/');
    let (parent, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
    if name.is_empty() || name == "." || name == ".." {
        return Err(Errno::INVAL);
    }
    Ok((
        open_or_make(root, parent, Target::Directory)?,
        name.to_owned(),
    ))
}

fn check(found: OwnedFd, target: Target) -> rustix::io::Result<OwnedFd> {
    let directory =
        FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) == FileType::Directory;
    match target {
        Target::Directory if !directory => Err(Errno::NOTDIR),
        Target::File if directory => Err(Errno::ISDIR),
        _ => Ok(found),
    }
}

enum Made {
    Found(OwnedFd),
    /// A dangling link stood on the way; the path goes on as this one.
    LeadsTo(String),
}

fn make(root: BorrowedFd<'_>, path: &str, target: Target) -> rustix::io::Result<Made> {
    let names: Vec<&str> = path
        .split('/')
        .filter(|name| !name.is_empty() && *name != ".")
        .collect();
    let (mut directory, existing) = longest_existing(root, &names)?;
    // Up from something that isn't there leads back to where it would be.
    if let Some(up) = (existing + 1..names.len()).find(|index| names[*index] == "..") {
        let without = [&names[..up - 1], &names[up + 1..]].concat();
        return Ok(Made::LeadsTo(format!("/{}", without.join("/"))));
    }
    for (index, name) in names.iter().enumerate().skip(existing) {
        if *name == ".." {
            return Err(Errno::NOENT);
        }
        let last = index + 1 == names.len();
        let made = if last && target == Target::File {
            make_file(&directory, name)
        } else {
            rustix::fs::mkdirat(&directory, *name, DIRECTORY_MODE)
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
        let next = rustix::fs::openat(
            &directory,
            *name,
            OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        )?;
        if FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) == FileType::Symlink {
            let link = rustix::fs::readlinkat(&next, "", Vec::new())?;
            let link = link.to_str().map_err(|_| Errno::ILSEQ)?;
            let rest = names[index + 1..].join("/");
            let base = if link.starts_with('/') {
                String::new()
            } else {
                names[..index].join("/")
            };
            return Ok(Made::LeadsTo(format!("/{base}/{link}/{rest}")));
        }
        directory = next;
    }
    Ok(Made::Found(directory))
}

/// The longest beginning of the path that exists, and how many names it has.
fn longest_existing(root: BorrowedFd<'_>, names: &[&str]) -> rustix::io::Result<(OwnedFd, usize)> {
    for count in (0..names.len()).rev() {
        match open(
            root,
            &names[..count].join("/"),
            OFlags::PATH | OFlags::DIRECTORY,
        ) {
            Ok(directory) => return Ok((directory, count)),
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok((open(root, "/", OFlags::PATH | OFlags::DIRECTORY)?, 0))
}

/// An empty file, never opening or truncating what is there already.
fn make_file(directory: &OwnedFd, name: &str) -> rustix::io::Result<()> {
    rustix::fs::mknodat(
        directory,
        name,
        FileType::RegularFile,
        Mode::from_raw_mode(0o644),
        0,
    )
}

/// Whether the file system mounted at `fd` refuses device nodes.
pub fn is_nodev(fd: impl AsFd) -> rustix::io::Result<bool> {
    /// ST_VALID and ST_NODEV of <linux/statfs.h>.
    const ST_NODEV: i64 = 0x0004;
    Ok(rustix::fs::fstatfs(fd)?.f_flags & ST_NODEV != 0)
}

/// Whether the file system or mount at `fd` is read-only.
pub fn is_readonly(fd: impl AsFd) -> rustix::io::Result<bool> {
    /// ST_RDONLY of <linux/statfs.h>.
    const ST_RDONLY: i64 = 0x0001;
    Ok(rustix::fs::fstatfs(fd)?.f_flags & ST_RDONLY != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Scratch {
            let path =
                std::env::temp_dir().join(format!("brig-paths-{}-{name}", std::process::id()));
            fs::create_dir_all(path.join("root")).unwrap();
            Scratch(path)
        }

        fn root(&self) -> PathBuf {
            self.0.join("root")
        }

        fn fd(&self) -> OwnedFd {
            rustix::fs::open(self.root(), OFlags::PATH | OFlags::DIRECTORY, Mode::empty()).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    fn same(fd: &OwnedFd, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        rustix::fs::fstat(fd).unwrap().st_ino == fs::metadata(path).unwrap().ino()
    }

    #[test]
    fn missing_directories_are_made_beneath_the_root() {
        let scratch = Scratch::new("made");
        let made = open_or_make(scratch.fd(), "/a/b/c", Target::Directory).unwrap();
        assert!(same(&made, &scratch.root().join("a/b/c")));
    }

    #[test]
    fn a_link_out_of_the_root_leads_back_into_it() {
        let scratch = Scratch::new("escape");
        let outside = scratch.0.join("outside");
        fs::create_dir(&outside).unwrap();
        symlink(&outside, scratch.root().join("abs")).unwrap();
        symlink("../outside", scratch.root().join("rel")).unwrap();
        open_or_make(scratch.fd(), "/abs/made", Target::Directory).unwrap();
        open_or_make(scratch.fd(), "/rel/made-too", Target::File).unwrap();
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert!(scratch.root().join("outside/made-too").is_file());
    }

    #[test]
    fn a_dangling_link_on_the_way_is_made_where_it_points() {
        let scratch = Scratch::new("dangling");
        symlink("/run", scratch.root().join("var-run")).unwrap();
        let made = open_or_make(scratch.fd(), "/var-run/secrets/token", Target::File).unwrap();
        assert!(same(&made, &scratch.root().join("run/secrets/token")));
    }

    #[test]
    fn up_from_what_is_missing_leads_back() {
        let scratch = Scratch::new("up");
        let made = open_or_make(scratch.fd(), "/x/y/../../../z", Target::Directory).unwrap();
        assert!(same(&made, &scratch.root().join("z")));
        assert!(!scratch.root().join("x").exists());
    }

    #[test]
    fn links_that_go_round_in_circles_end_in_an_error() {
        let scratch = Scratch::new("circle");
        symlink("b", scratch.root().join("a")).unwrap();
        symlink("a", scratch.root().join("b")).unwrap();
        assert_eq!(
            open_or_make(scratch.fd(), "/a/x", Target::File).unwrap_err(),
            Errno::LOOP
        );
    }

    #[test]
    fn a_file_where_a_directory_must_be_is_refused() {
        let scratch = Scratch::new("kind");
        fs::write(scratch.root().join("file"), "").unwrap();
        assert_eq!(
            open_or_make(scratch.fd(), "/file", Target::Directory).unwrap_err(),
            Errno::NOTDIR
        );
        assert_eq!(
            open_or_make(scratch.fd(), "/", Target::File).unwrap_err(),
            Errno::ISDIR
        );
    }

    #[test]
    fn existing_content_of_a_file_target_is_left_alone() {
        let scratch = Scratch::new("content");
        fs::write(scratch.root().join("file"), "kept").unwrap();
        open_or_make(scratch.fd(), "/file", Target::File).unwrap();
        assert_eq!(
            fs::read_to_string(scratch.root().join("file")).unwrap(),
            "kept"
        );
    }

    #[test]
    fn a_plain_path_takes_no_link() {
        let scratch = Scratch::new("plain");
        fs::create_dir(scratch.root().join("real")).unwrap();
        symlink("real", scratch.root().join("proc")).unwrap();
        assert_eq!(
            open_plain(scratch.fd(), "/proc", OFlags::PATH).unwrap_err(),
            Errno::LOOP
        );
        assert!(open(scratch.fd(), "/proc", OFlags::PATH).is_ok());
    }
}
