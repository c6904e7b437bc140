//! The real program in a prefix of its own, with a daemon that this file plays: who starts it, what it gets, what it is
//! freed of. The daemon is this very test program, executed by a script that stands where the Java image would.

#![allow(
    clippy::expect_used,
    reason = "in a test program a failed expectation is the result"
)]

use std::fs;
use std::io::{Read, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use wire::Message;
use wire::keeper::{FromCommand, Opening, Output as Said, from_command, opening};

/// Names the prefix to the test program that plays the daemon.
const PLAYED_IN: &str = "BRIG_TEST_DAEMON";

/// An installation with a played daemon; the daemon ends with it.
struct Prefix {
    dir: PathBuf,
}

impl Prefix {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("brig-{name}-{}", std::process::id()));
        let test = std::env::current_exe().expect("own path");
        // Executables are written by another process: one that this process holds open for writing while a test beside
        // forks could not be executed ("text file busy").
        let made = Command::new("/bin/sh")
            .arg("-ec")
            .arg(
                r#"
                rm -rf "$0"
                mkdir -p "$0/bin" "$0/etc/brig" "$0/lib/brig/runtime/bin"
                cp "$1" "$0/bin/brig"
                printf '[paths]\nrun = "%s/run"\n' "$0" > "$0/etc/brig/brig.toml"
                cat > "$0/lib/brig/runtime/bin/java" <<END
#!/bin/sh
env > $0/environment
$3=$0 exec $2 --exact --nocapture plays_the_daemon_when_asked
END
                chmod 755 "$0/lib/brig/runtime/bin/java"
                "#,
            )
            .arg(&dir)
            .arg(env!("CARGO_BIN_EXE_brig"))
            .arg(test)
            .arg(PLAYED_IN)
            .status();
        assert!(made.expect("shell").success());
        Self { dir }
    }

    fn brig(&self) -> Command {
        let mut command = Command::new(self.dir.join("bin/brig"));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env_remove("BRIG_CONFIG");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.brig().args(args).output().expect("brig runs")
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("run/brigd.sock")
    }

    /// Process id of the daemon, and of its supervisor.
    fn daemon(&self) -> (i32, i32) {
        let daemon = self.read("run/brigd.pid").trim().parse().expect("pid");
        let status = fs::read_to_string(format!("/proc/{daemon}/status")).expect("it runs");
        let parent = status
            .lines()
            .find_map(|line| line.strip_prefix("PPid:"))
            .expect("parent");
        (daemon, parent.trim().parse().expect("pid"))
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.dir.join(file)).expect(file)
    }
}

impl Drop for Prefix {
    fn drop(&mut self) {
        if UnixStream::connect(self.socket()).is_ok() {
            let _ = self.run(&["end"]);
        }
        let removed = fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            removed.expect("the test's directory is removed");
        }
    }
}

/// Sends the signal and waits for the process's end.
fn end(pid: i32, signal: Signal) {
    let process = Pid::from_raw(pid).expect("pid");
    let handle = pidfd_open(process, PidfdFlags::empty()).expect("it runs");
    pidfd_send_signal(&handle, signal).expect("signal");
    await_end(&handle);
}

fn await_end(handle: &OwnedFd) {
    let limit = Timespec {
        tv_sec: 60,
        tv_nsec: 0,
    };
    let ended = poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&limit)).expect("poll");
    assert_eq!(ended, 1, "it is still there after a minute");
}

/// The daemon's part: answers `say TEXT` with the text and status 7, `status` with its own /proc entry, and ends at `end`.
#[test]
fn plays_the_daemon_when_asked() {
    let Some(dir) = std::env::var_os(PLAYED_IN).map(PathBuf::from) else {
        return;
    };
    let mut starts = fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(dir.join("starts"))
        .expect("starts");
    starts.write_all(b"x").expect("starts");
    drop(starts);
    // SAFETY: the starter hands the listening socket over as descriptor 0, and nothing else here reads standard input.
    let listener = unsafe { UnixListener::from_raw_fd(0) };
    for connection in listener.incoming() {
        let mut connection = connection.expect("connection");
        let mut length = [0; 4];
        if connection.read_exact(&mut length).is_err() {
            continue;
        }
        let mut message = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut message).expect("opening");
        let Some(opening::Role::Command(command)) =
            Opening::decode(message.as_slice()).expect("opening").role
        else {
            continue;
        };
        let mut answer = |message| {
            let frame = FromCommand {
                message: Some(message),
            }
            .encode_to_vec();
            let length = u32::try_from(frame.len()).expect("short").to_be_bytes();
            connection
                .write_all(&[&length, frame.as_slice()].concat())
                .expect("answer");
        };
        let words: Vec<&str> = command.args.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["say", text] => {
                answer(from_command::Message::Output(Said {
                    stream: 1,
                    data: format!("{text} in {}\n", command.cwd).into(),
                }));
                answer(from_command::Message::Output(Said {
                    stream: 2,
                    data: b"and more\n".to_vec(),
                }));
                answer(from_command::Message::ExitCode(7));
            }
            ["status"] => {
                let links: Vec<_> = fs::read_dir("/proc/self/fd")
                    .expect("fds")
                    .map(|fd| fd.expect("fd").path())
                    .collect();
                let told = format!(
                    "{}cwd {}\npid {}\nsession {}\nfds {links:?}\n",
                    fs::read_to_string("/proc/thread-self/status").expect("status"),
                    fs::read_link("/proc/self/cwd").expect("cwd").display(),
                    std::process::id(),
                    // SAFETY: takes and gives numbers.
                    unsafe { libc::getsid(0) },
                );
                let told = told + &fs::read_to_string("/proc/self/cgroup").expect("cgroup");
                answer(from_command::Message::Output(Said {
                    stream: 1,
                    data: told.into(),
                }));
                answer(from_command::Message::ExitCode(0));
            }
            ["die"] => {
                eprintln!("brigd: a reason to die");
                std::process::exit(1);
            }
            ["end"] => {
                answer(from_command::Message::ExitCode(0));
                std::process::exit(0);
            }
            _ => answer(from_command::Message::ExitCode(2)),
        }
    }
}

#[test]
fn fifty_clients_at_once_start_one_daemon() {
    let prefix = Prefix::new("fifty");
    // All wait at one pipe and begin when its other end is closed.
    let (gate, release) = std::io::pipe().expect("pipe");
    let clients: Vec<Child> = (0..50)
        .map(|_| {
            Command::new("/bin/sh")
                .args(["-c", "read line; exec \"$0\" say hello"])
                .arg(prefix.dir.join("bin/brig"))
                .stdin(gate.try_clone().expect("pipe"))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("client")
        })
        .collect();
    drop(release);
    for mut client in clients {
        assert_eq!(client.wait().expect("client ends").code(), Some(7));
    }
    assert_eq!(prefix.read("starts"), "x");
}

#[test]
fn output_and_exit_code_are_passed_through() {
    let prefix = Prefix::new("output");
    let output = prefix
        .brig()
        .args(["say", "hello"])
        .current_dir("/usr")
        .output()
        .expect("brig runs");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (output.stdout.as_slice(), output.stderr.as_slice()),
        (&b"hello in /usr\n"[..], &b"and more\n"[..])
    );
}

#[test]
fn the_daemon_keeps_nothing_of_its_starter() {
    let prefix = Prefix::new("kept");
    let output = prefix
        .brig()
        .arg("status")
        .env("SECRET", "x")
        .env("LD_PRELOAD", "")
        .current_dir("/usr")
        .output()
        .expect("brig runs");
    let told = String::from_utf8(output.stdout).expect("text");
    let field = |name: &str| {
        let line = told
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .expect(name);
        line.trim_start_matches(':').trim().to_owned()
    };
    assert_eq!(prefix.read("run/brigd.pid").trim(), field("pid"));
    assert_eq!(field("cwd"), "/");
    assert_eq!(field("Umask"), "0077");
    assert_eq!(field("SigBlk"), "0000000000000000");
    assert_ne!(
        field("session"),
        field("pid"),
        "leads no session, so it can't get a terminal"
    );
    // SAFETY: takes and gives numbers.
    assert_ne!(field("session"), unsafe { libc::getsid(0) }.to_string());
    // Its socket, the log twice, the connection, and the directory it is reading.
    assert_eq!(
        field("fds").matches("/proc/self/fd/").count(),
        5,
        "{}",
        field("fds")
    );

    let mut variables: Vec<String> = prefix
        .read("environment")
        .lines()
        .filter_map(|line| line.split_once('=').map(|(name, _)| name.to_owned()))
        .filter(|name| !["_", "PWD", "OLDPWD", "SHLVL"].contains(&name.as_str()))
        .collect();
    variables.sort();
    assert_eq!(variables, ["BRIG_CONFIG", "BRIG_PREFIX", "LANG", "PATH"]);

    // Every hierarchy it could enter, it did; the log says which refused.
    let refused = prefix
        .read("run/brigd.log")
        .matches("leave the starter's control group")
        .count();
    let outside = told
        .lines()
        .filter(|line| {
            line.split(':').count() == 3
                && line
                    .split(':')
                    .next()
                    .is_some_and(|id| id.parse::<u32>().is_ok())
        })
        .filter(|line| !line.ends_with("/brig/brigd"))
        .count();
    assert!(
        outside <= refused,
        "{told}\n{}",
        prefix.read("run/brigd.log")
    );
    // Where the processors are a hierarchy of v1 that it may write to, its weight is that of eight tasks of the root group.
    if let Ok(weight) = fs::read_to_string("/sys/fs/cgroup/cpu/brig/cpu.shares") {
        assert_eq!(weight.trim(), "8192");
    }
}

#[test]
fn socket_and_directory_are_for_root_alone() {
    let prefix = Prefix::new("modes");
    prefix.run(&["say", "x"]);
    let mode = |path: PathBuf| fs::metadata(&path).expect("is there").mode() & 0o7777;
    assert_eq!(
        (mode(prefix.socket()), mode(prefix.dir.join("run"))),
        (0o600, 0o700)
    );
    assert_eq!(mode(prefix.dir.join("run/brigd.log")), 0o600);
}

#[test]
fn a_dead_daemons_socket_is_replaced() {
    let prefix = Prefix::new("stale");
    fs::create_dir(prefix.dir.join("run")).expect("run directory");
    drop(UnixListener::bind(prefix.socket()).expect("stale socket"));
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
}

#[test]
fn a_daemon_that_goes_away_leaves_its_last_words_to_the_client() {
    let prefix = Prefix::new("words");
    let output = prefix.run(&["die"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("run the command") && said.contains("brigd: a reason to die"),
        "{said}"
    );
}

#[test]
fn a_killed_daemon_is_back_before_anyone_is_refused() {
    let prefix = Prefix::new("killed");
    prefix.run(&["say", "x"]);
    let (first, supervisor) = prefix.daemon();
    end(first, Signal::KILL);
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
    let (second, same) = prefix.daemon();
    assert_ne!(second, first);
    assert_eq!(same, supervisor, "born where the first one was");
    assert_eq!(prefix.read("starts"), "xx");
}

/// Whoever has opened the file reads the former daemon's id to its end: the file is exchanged, not written over.
#[test]
fn the_daemons_id_is_never_seen_half_written() {
    let prefix = Prefix::new("id");
    prefix.run(&["say", "x"]);
    let (first, _) = prefix.daemon();
    let mut opened = fs::File::open(prefix.dir.join("run/brigd.pid")).expect("file");
    end(first, Signal::KILL);
    prefix.run(&["say", "x"]);
    assert_ne!(prefix.daemon().0, first);
    let mut read = String::new();
    opened.read_to_string(&mut read).expect("read");
    assert_eq!(read, format!("{first}\n"));
    assert!(!prefix.dir.join("run/brigd.pid.new").exists());
}

/// A descriptor that the program opens itself must not become its standard output.
#[test]
fn a_program_without_standard_descriptors_gets_them() {
    let prefix = Prefix::new("closed");
    let output = Command::new("/bin/sh")
        .args(["-c", "\"$0\" say hello <&- >&- 2>&-; echo $?"])
        .arg(prefix.dir.join("bin/brig"))
        .env_remove("BRIG_CONFIG")
        .output()
        .expect("shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "7\n");
    assert_eq!(prefix.read("starts"), "x");
}

#[test]
fn a_reader_that_has_gone_changes_no_exit_code() {
    let prefix = Prefix::new("pipe");
    let (reader, writer) = std::io::pipe().expect("pipe");
    drop(reader);
    let mut client = prefix.brig();
    let status = client.args(["say", "x"]).stdout(writer).status();
    assert_eq!(status.expect("client").code(), Some(7));
}

#[test]
fn a_client_that_waits_is_served_by_the_next_daemon() {
    let prefix = Prefix::new("waits");
    prefix.run(&["say", "x"]);
    let (first, _) = prefix.daemon();
    let stopped = Pid::from_raw(first).expect("pid");
    rustix::process::kill_process(stopped, Signal::STOP).expect("stopped");
    let client = prefix.brig().args(["say", "x"]).spawn().expect("client");
    // Its connection is made once it waits for the answer, which is seen by its one socket.
    let waits = || {
        fs::read_dir(format!("/proc/{}/fd", client.id())).is_ok_and(|fds| {
            fds.flatten().any(|fd| {
                fs::read_link(fd.path())
                    .is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
            })
        })
    };
    let limit = Instant::now() + Duration::from_secs(60);
    while !waits() {
        assert!(Instant::now() < limit, "the client never connected");
        std::thread::yield_now();
    }
    end(first, Signal::KILL);
    let output = client.wait_with_output().expect("client ends");
    assert_eq!(output.status.code(), Some(7));
}

#[test]
fn a_daemon_that_was_told_to_end_comes_back_for_who_asks() {
    let prefix = Prefix::new("told");
    prefix.run(&["say", "x"]);
    let (first, supervisor) = prefix.daemon();
    end(first, Signal::TERM);
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
    assert_eq!(prefix.daemon().1, supervisor);
}

#[test]
fn nobody_is_left_when_nobody_asks() {
    let prefix = Prefix::new("nobody");
    prefix.run(&["say", "x"]);
    let (daemon, supervisor) = prefix.daemon();
    let handle =
        pidfd_open(Pid::from_raw(supervisor).expect("pid"), PidfdFlags::empty()).expect("it runs");
    end(daemon, Signal::TERM);
    await_end(&handle);
    assert!(!prefix.socket().exists());
    assert_eq!(prefix.read("starts"), "x");
}

#[test]
fn a_supervisor_that_is_told_to_end_ends_its_daemon_first() {
    let prefix = Prefix::new("ended");
    prefix.run(&["say", "x"]);
    let (daemon, supervisor) = prefix.daemon();
    end(supervisor, Signal::TERM);
    assert!(!PathBuf::from(format!("/proc/{daemon}")).exists());
    assert!(!prefix.socket().exists());
}

#[test]
fn a_killed_supervisor_takes_nothing_along_and_the_next_client_starts_another() {
    let prefix = Prefix::new("orphan");
    prefix.run(&["say", "x"]);
    let (daemon, supervisor) = prefix.daemon();
    end(supervisor, Signal::KILL);
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
    assert_eq!(prefix.read("starts"), "x", "the daemon goes on");
    end(daemon, Signal::KILL);
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
    assert_eq!(prefix.read("starts"), "xx");
    assert_ne!(prefix.daemon().1, supervisor);
}

#[test]
fn a_missing_daemon_is_named_and_leaves_no_socket() {
    let prefix = Prefix::new("missing");
    fs::remove_file(prefix.dir.join("lib/brig/runtime/bin/java")).expect("script");
    let output = prefix.run(&["say", "x"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(
        said.contains("execute brigd")
            && said.contains("runtime/bin/java")
            && said.contains("scripts/install"),
        "{said}"
    );
    assert!(!prefix.socket().exists());
}

#[test]
fn a_second_daemon_in_the_foreground_is_refused() {
    let prefix = Prefix::new("second");
    prefix.run(&["say", "x"]);
    std::os::unix::fs::symlink("brig", prefix.dir.join("bin/brigd")).expect("link");
    let output = Command::new(prefix.dir.join("bin/brigd"))
        .stdin(Stdio::null())
        .output()
        .expect("brigd runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).expect("text");
    assert!(said.contains("a daemon listens there already"), "{said}");
    assert_eq!(prefix.read("starts"), "x");
}

#[test]
fn a_service_managers_socket_is_the_daemons() {
    let prefix = Prefix::new("manager");
    fs::create_dir(prefix.dir.join("run")).expect("run directory");
    let socket = OwnedFd::from(UnixListener::bind(prefix.socket()).expect("socket"));
    std::os::unix::fs::symlink("brig", prefix.dir.join("bin/brigd")).expect("link");
    let mut daemon = Command::new("/bin/sh")
        .args([
            "-c",
            "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\"",
        ])
        .arg(prefix.dir.join("bin/brigd"))
        .stdin(socket)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("brigd runs");
    assert_eq!(prefix.run(&["say", "x"]).status.code(), Some(7));
    assert_eq!(prefix.read("run/brigd.pid").trim(), daemon.id().to_string());
    assert!(prefix.run(&["end"]).status.success());
    assert!(daemon.wait().expect("brigd ends").success());
    assert_eq!(prefix.read("starts"), "x");
}
