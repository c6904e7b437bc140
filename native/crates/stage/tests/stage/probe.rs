//! The program inside: asks the kernel for things and prints what it answers, one `name=answer` per line; the answer is `ok` or
//! the name of the errno.

use std::ffi::CString;
use std::io;
use std::process::ExitCode;

pub fn main(arguments: &[String]) -> ExitCode {
    let rest: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match arguments.first().map(String::as_str) {
        Some("locking") => locking(),
        Some("open-write") => rest
            .iter()
            .for_each(|path| tell(path, open(path, libc::O_WRONLY))),
        Some("open-read") => rest
            .iter()
            .for_each(|path| tell(path, open(path, libc::O_RDONLY))),
        Some("read") => rest.iter().for_each(|path| tell(path, read_one(path))),
        Some("keyring") => println!(
            "{}",
            check(unsafe { libc::syscall(libc::SYS_keyctl, 0, -3, 0) }).unwrap_or(-1)
        ),
        Some("personality") => println!("{:#x}", unsafe { libc::personality(0xffff_ffff) }),
        Some("scheduler") => println!("{} {}", unsafe { libc::sched_getscheduler(0) }, unsafe {
            libc::getpriority(0, 0)
        }),
        Some("io-priority") => println!("{}", unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) }),
        Some("memory-policy") => memory_policy(),
        Some("syscall") => tell(
            rest[0],
            check(unsafe { libc::syscall(rest[0].parse().unwrap(), 0, 0, 0, 0) }).map(drop),
        ),
        Some("signals") => print!("{}", lines_of("/proc/self/status", &["SigBlk", "SigIgn"])),
        Some("spy") => spy(),
        Some("write-own-program") => tell("own program", access("/proc/self/exe")),
        Some("descriptors") => descriptors(),
        Some("wait") => wait(),
        Some("terminal") => terminal(),
        other => {
            eprintln!("no such probe: {other:?}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn tell(name: &str, answer: io::Result<()>) {
    match answer {
        Ok(()) => println!("{name}=ok"),
        Err(error) => println!("{name}={}", name_of(error.raw_os_error().unwrap_or(0))),
    }
}

fn name_of(errno: i32) -> String {
    match errno {
        libc::EPERM => "EPERM",
        libc::EACCES => "EACCES",
        libc::EINVAL => "EINVAL",
        libc::EROFS => "EROFS",
        libc::ENOENT => "ENOENT",
        libc::EBUSY => "EBUSY",
        libc::ENXIO => "ENXIO",
        libc::ENOSYS => "ENOSYS",
        libc::ENODEV => "ENODEV",
        libc::ELOOP => "ELOOP",
        libc::ESRCH => "ESRCH",
        libc::ECONNREFUSED => "ECONNREFUSED",
        other => return other.to_string(),
    }
    .to_owned()
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

fn c(text: &str) -> CString {
    CString::new(text).unwrap()
}

fn open(path: &str, flags: i32) -> io::Result<()> {
    let fd = check(
        unsafe { libc::open(c(path).as_ptr(), flags | libc::O_CLOEXEC | libc::O_NONBLOCK) }.into(),
    )?;
    unsafe { libc::close(fd as i32) };
    Ok(())
}

fn read_one(path: &str) -> io::Result<()> {
    let fd =
        check(unsafe { libc::open(c(path).as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) }.into())?
            as i32;
    let mut byte = 0u8;
    let read = check(unsafe { libc::read(fd, (&raw mut byte).cast(), 1) } as libc::c_long);
    unsafe { libc::close(fd) };
    match read? {
        0 => Err(io::Error::other("empty")),
        _ => Ok(()),
    }
}

fn access(path: &str) -> io::Result<()> {
    check(unsafe { libc::access(c(path).as_ptr(), libc::W_OK) }.into()).map(drop)
}

fn umount(path: &str) -> io::Result<()> {
    check(unsafe { libc::umount2(c(path).as_ptr(), libc::MNT_DETACH) }.into()).map(drop)
}

fn mount(source: &str, target: &str, fs_type: &str, flags: u64, data: &str) -> io::Result<()> {
    let (source, target, fs_type, data) = (c(source), c(target), c(fs_type), c(data));
    check(
        unsafe {
            libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                fs_type.as_ptr(),
                flags,
                data.as_ptr().cast(),
            )
        }
        .into(),
    )
    .map(drop)
}

fn unshare(flags: i32) -> io::Result<()> {
    check(unsafe { libc::unshare(flags) }.into()).map(drop)
}

/// The attempts of a workload that holds all capabilities in its user namespace to get behind its masks.
fn locking() {
    std::fs::create_dir_all("/tmp/a").unwrap();
    std::fs::create_dir_all("/tmp/b").unwrap();
    let attempts = |prefix: &str| {
        let tell = |name: &str, answer| tell(&format!("{prefix}{name}"), answer);
        for mask in [
            "/proc/kcore",
            "/proc/sys",
            "/proc",
            "/sys",
            "/dev",
            "/sys/firmware",
        ] {
            tell(&format!("umount {mask}"), umount(mask));
        }
        for path in ["/proc/sys", "/sys", "/proc/kcore"] {
            tell(
                &format!("remount-rw {path}"),
                mount("", path, "", libc::MS_REMOUNT | libc::MS_BIND, ""),
            );
        }
        tell(
            "bind /proc",
            mount("/proc", "/tmp/a", "", libc::MS_BIND, ""),
        );
        tell("bind /sys", mount("/sys", "/tmp/a", "", libc::MS_BIND, ""));
        tell("fresh proc", mount("proc", "/tmp/b", "proc", 0, ""));
        tell(
            "fresh proc, pids alone",
            mount("proc", "/tmp/b", "proc", 0, "subset=pid"),
        );
        tell("fresh sysfs", mount("sysfs", "/tmp/b", "sysfs", 0, ""));
        let context = check(unsafe { libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), 1) });
        let made = context.and_then(|context| {
            check(unsafe { libc::syscall(libc::SYS_fsconfig, context, 6, 0, 0, 0) })?;
            check(unsafe { libc::syscall(libc::SYS_fsmount, context, 1, 0) })
        });
        tell("fsmount proc", made.map(drop));
        let clone = check(unsafe {
            libc::syscall(
                libc::SYS_open_tree,
                libc::AT_FDCWD,
                c"/proc".as_ptr(),
                1 | libc::O_CLOEXEC,
            )
        });
        tell("clone /proc", clone.map(drop));
        tell("umount /", umount("/"));
        tell("umount /..", umount("/.."));
        tell("move /", mount("/", "/tmp/a", "", libc::MS_MOVE, ""));
    };
    attempts("");
    tell(
        "rbind /proc",
        mount("/proc", "/tmp/a", "", libc::MS_BIND | libc::MS_REC, ""),
    );
    tell("rbind, then kcore", read_one("/tmp/a/kcore"));
    tell("rbind, then umount kcore", umount("/tmp/a/kcore"));
    tell(
        "rbind, then sys",
        open("/tmp/a/sys/kernel/domainname", libc::O_WRONLY),
    );
    tell("escape by chroot", escape());
    tell("second mount namespace", unshare(libc::CLONE_NEWNS));
    attempts("second: ");
    tell(
        "nested user namespace",
        unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS),
    );
    attempts("nested: ");
}

/// The classic: chroot deeper while standing outside, then climb. Fails if what it reaches is still the container's root.
fn escape() -> io::Result<()> {
    let root = |path: &str| {
        let meta = std::fs::metadata(path)?;
        use std::os::unix::fs::MetadataExt;
        io::Result::Ok((meta.dev(), meta.ino()))
    };
    let here = root("/")?;
    let child = unsafe { libc::fork() };
    if child == 0 {
        let outcome = || -> io::Result<bool> {
            check(unsafe { libc::chroot(c"/tmp/b".as_ptr()) }.into())?;
            for _ in 0..32 {
                check(unsafe { libc::chdir(c"..".as_ptr()) }.into())?;
            }
            check(unsafe { libc::chroot(c".".as_ptr()) }.into())?;
            Ok(root("/")? != here)
        };
        unsafe { libc::_exit(i32::from(!matches!(outcome(), Ok(true)))) }
    }
    let mut status = 0;
    unsafe { libc::waitpid(child, &raw mut status, 0) };
    if libc::WEXITSTATUS(status) == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }
}

fn memory_policy() {
    let (mut mode, mut nodes) = (0i32, [0u64; 16]);
    check(unsafe {
        libc::syscall(
            libc::SYS_get_mempolicy,
            &raw mut mode,
            nodes.as_mut_ptr(),
            1024,
            0,
            0,
        )
    })
    .unwrap();
    println!("{mode} {:#x}", nodes[0]);
}

fn lines_of(path: &str, fields: &[&str]) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .filter(|line| fields.iter().any(|field| line.starts_with(field)))
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Looks, as container root, at every process that comes by, for as long as standard input stays open: can its program be
/// opened for writing, its memory, its descriptors or root be reached?
fn spy() {
    println!("watching");
    let mut seen = std::collections::BTreeSet::new();
    loop {
        for entry in std::fs::read_dir("/proc").unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let Ok(pid) = name.parse::<i32>() else {
                continue;
            };
            if pid as u32 == std::process::id() {
                continue;
            }
            let program = std::fs::read_link(format!("/proc/{pid}/exe"));
            // Programs of the container show their path in it.
            if program
                .as_ref()
                .is_ok_and(|path| path.starts_with("/bin") || path.starts_with("/probe"))
            {
                continue;
            }
            if program.is_ok() {
                seen.insert("program read");
            }
            if open(&format!("/proc/{pid}/exe"), libc::O_WRONLY).is_ok() {
                seen.insert("program written");
            }
            if open(&format!("/proc/{pid}/mem"), libc::O_RDONLY).is_ok() {
                seen.insert("memory");
            }
            if std::fs::read_dir(format!("/proc/{pid}/fd"))
                .is_ok_and(|mut entries| entries.next().is_some())
            {
                seen.insert("descriptors");
            }
            if std::fs::read_dir(format!("/proc/{pid}/root/")).is_ok() {
                seen.insert("root");
            }
            seen.insert("somebody");
        }
        let mut poll = libc::pollfd {
            fd: 0,
            events: libc::POLLIN,
            revents: 0,
        };
        if unsafe { libc::poll(&raw mut poll, 1, 0) } > 0 {
            break;
        }
    }
    seen.iter().for_each(|what| println!("{what}"));
}

fn descriptors() {
    let mut open: Vec<String> = std::fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| {
            let target = std::fs::read_link(entry.path()).ok()?;
            // The one that reads the directory itself.
            (!target.starts_with("/proc")).then(|| entry.file_name().into_string().unwrap())
        })
        .collect();
    open.sort();
    println!("{}", open.join(" "));
}

/// Says that it runs, and ends when its standard input does.
fn wait() {
    println!("waiting");
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}

fn terminal() {
    use std::os::fd::AsRawFd;
    let size = rustix::termios::tcgetwinsize(io::stdin()).unwrap();
    println!("size {} {}", size.ws_row, size.ws_col);
    tell("controlling", open("/dev/tty", libc::O_RDWR));
    println!("session leader {}", unsafe {
        libc::getsid(0) == libc::getpid()
    });
    println!("foreground {}", unsafe {
        libc::tcgetpgrp(io::stdin().as_raw_fd()) == libc::getpgrp()
    });
    use std::os::unix::fs::MetadataExt;
    let console = std::fs::metadata("/dev/console").unwrap();
    let tty = std::fs::metadata("/dev/pts/0").unwrap();
    println!("console is the terminal {}", console.rdev() == tty.rdev());
    println!(
        "owner {}:{} mode {:o}",
        tty.uid(),
        tty.gid(),
        tty.mode() & 0o777
    );
}

/// Answers one seccomp notification with an errno.
pub fn answer_one(listener: &std::os::fd::OwnedFd, errno: i32) {
    use std::os::fd::AsRawFd;
    /// SECCOMP_IOCTL_NOTIF_RECV and SECCOMP_IOCTL_NOTIF_SEND of <linux/seccomp.h>.
    const RECV: libc::Ioctl = 0xc050_2100;
    const SEND: libc::Ioctl = 0xc018_2101;
    unsafe {
        let mut notification: libc::seccomp_notif = std::mem::zeroed();
        check(libc::ioctl(listener.as_raw_fd(), RECV, &raw mut notification).into()).unwrap();
        let mut response = libc::seccomp_notif_resp {
            id: notification.id,
            val: 0,
            error: -errno,
            flags: 0,
        };
        check(libc::ioctl(listener.as_raw_fd(), SEND, &raw mut response).into()).unwrap();
    }
}
